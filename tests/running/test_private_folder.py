"""A stranger on the same machine: what they make first is not used, and what is ours is closed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from jackpot.errors import JackpotError
from jackpot.running import lease
from jackpot.running.private_folder import make_private, private_folder, why_not_private
from tests.support import need

NOBODY = 65534


def as_nobody(program, *arguments):
    """Run Python lines as another user."""
    need(os.geteuid() == 0, "another user is played by root")
    return subprocess.run(
        [sys.executable, "-S", "-E", "-c", f"import os, sys\nos.setgid({NOBODY})\n{program}"]
        + [str(argument) for argument in arguments],
        # The interpreter may lie where the other user cannot read: it is loaded before setuid.
        capture_output=True,
        text=True,
    )


@pytest.fixture
def shared(tmp_path, monkeypatch):
    """A temporary folder like /tmp: all may write, nobody may remove what is another's."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    for parent in folder.parents:
        if parent.stat().st_uid == os.geteuid():
            parent.chmod(parent.stat().st_mode | 0o011)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    monkeypatch.setattr(lease, "_HELD", [])
    return folder


def test_the_folder_is_made_once_and_for_this_user_alone(shared):
    folder = private_folder()
    assert folder == private_folder() == shared / f"jackpot-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    done = as_nobody(f"os.setuid({NOBODY})\nos.listdir(sys.argv[1])", folder)
    assert "PermissionError" in done.stderr


@pytest.mark.parametrize(
    "attack",
    [
        "os.mkdir(p)",
        "os.mkdir(p); os.chmod(p, 0o777)",
        "os.symlink(os.path.dirname(p), p)",
        "open(p, 'w')",
    ],
)
def test_what_a_stranger_made_first_holds_up_no_job(shared, attack):
    name = f"jackpot-{os.getuid()}"
    done = as_nobody(f"os.setuid({NOBODY})\np = sys.argv[1]\n{attack}", shared / name)
    assert done.returncode == 0, done.stderr
    found = lease.lease_folder()
    assert found == lease.lease_folder(), "jobs that share a device find the same locks"
    assert found.parent.parent == shared and found.parent.name.startswith(f"{name}-")
    assert why_not_private(found) is None and why_not_private(found.parent) is None
    # A device is leased there, and nothing is put where the stranger can reach.
    assert lease.take(["a"], 1, found) == "a"
    assert all(found in lock.parents for lock in shared.rglob("*.lock"))
    # Where the stranger gives the name back, the locks stay where other jobs hold them.
    taken = shared / name
    (taken.rmdir if taken.is_dir() and not taken.is_symlink() else taken.unlink)()
    assert lease.lease_folder() == found


def test_a_temporary_folder_that_nobody_can_write_to_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(JackpotError, match=r"cannot be made .* Set TMPDIR to a folder"):
        private_folder()


def test_a_folder_that_others_can_use_is_refused(tmp_path):
    folder = make_private(tmp_path / "a" / "mine")
    assert why_not_private(folder) is None
    for mode in (0o710, 0o701, 0o777):
        folder.chmod(mode)
        with pytest.raises(JackpotError, match=f"its mode is {mode:o}, not 700"):
            make_private(folder)


def test_the_runtime_folder_is_preferred_if_it_is_private(shared, tmp_path, monkeypatch):
    runtime = make_private(tmp_path / "run")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    assert private_folder() == runtime / "jackpot"
    runtime.chmod(0o755)
    assert private_folder().parent == shared


def test_a_lease_is_not_written_through_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder = make_private(tmp_path / "leases")
    Path(folder, "a.0.lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        lease.take(["a"], 1, folder)
    assert victim.read_text() == "precious"
