"""Places that cannot be written to: full, read-only, or closed."""

import os
import shutil
import subprocess

import pytest

from jackpot.errors import JackpotError
from jackpot.running.results_folder import require_space
from tests.support import need
from tests.support.scripts import retrain
from tests.support.snake import Clone

ONE = {"experiments": [{"tickets": ["random"], "sparsities": [0.8], "seeds": [0]}]}


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 160 KiB."""
    need(os.geteuid() == 0 and shutil.which("mount") is not None, "mounting needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "jackpot", folder])
    need(done.returncode == 0, "mounting is not allowed here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass


def read_only(folder):
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)


DISKS = {
    "full": (fill, "No space left on device"),
    "read-only": (read_only, "Read-only file system"),
}


@pytest.mark.parametrize("kind", DISKS)
def test_a_result_that_cannot_be_written_says_so(small_disk, ticket, warm, kind):
    inflict, reason = DISKS[kind]
    (small_disk / "good.txt").write_text("good")
    inflict(small_disk)
    status, text = retrain(warm, ticket, small_disk / "out", "--keep-weights")
    assert status == 1 and f"error: {small_disk}/out/weights.safetensors: could not be" in text
    assert reason in text and "Free space or fix the permissions, then start again" in text
    assert (small_disk / "good.txt").read_text() == "good"
    assert not list(small_disk.rglob("*.part")) and not list(small_disk.rglob("*.safetensors"))


@pytest.mark.parametrize("kind", DISKS)
def test_a_resume_file_that_cannot_be_written_does_not_stop_the_training(
    tmp_path, small_disk, ticket, warm, kind
):
    inflict, reason = DISKS[kind]
    inflict(small_disk)
    resume = ["--resume-file", small_disk / "r.safetensors", "--resume-epochs", "1"]
    status, text = retrain(warm, ticket, tmp_path / "out", *resume)
    assert (
        status == 0
        and f"warning: the training is not saved: {small_disk}/r@" in text
        and reason in text
    )
    assert (tmp_path / "out" / "metrics.json").exists()


@pytest.mark.workflow
@pytest.mark.parametrize("kind", DISKS)
def test_snakemake_starts_nothing_on_a_disk_it_cannot_write_to(tmp_path, small_disk, kind):
    inflict, reason = DISKS[kind]
    clone = Clone(tmp_path / "clone", results=small_disk / "results", study=ONE)
    inflict(small_disk)
    status, text = clone.snakemake("runs.csv")
    assert status == 1 and "Traceback" not in text
    assert f"{clone.root}: cannot be written to ({reason})" in text
    assert "--config results_dir=" in text and "Nothing was started." in text
    assert "] Job " not in text


def test_permission_denied_is_told_too(tmp_path):
    need(os.geteuid() == 0 and hasattr(os, "fork"), "another user is played by root")
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o755)
    for parent in (tmp_path, *tmp_path.parents):
        parent.chmod(parent.stat().st_mode | 0o055)
    read, write = os.pipe()
    if os.fork() == 0:
        try:
            os.setuid(65534)
            require_space(folder / "results")
        except JackpotError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.wait()
    os.close(write)
    with open(read) as said:
        text = said.read()
    assert text.startswith(f"{folder}/results: cannot be written to (Permission denied)")
