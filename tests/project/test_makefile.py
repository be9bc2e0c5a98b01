"""The Makefile installs what it is asked for, once."""

import os
import shutil
import subprocess

from tests.support import ROOT

CPU, CUDA = "envs/requirements-cpu.txt", "envs/requirements-cuda.txt"


def test_another_list_is_installed_and_stays(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (CPU, CUDA, "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    ready = tmp_path / ".venv" / ".ready"

    def planned(*words):
        command = ["make", "--dry-run", "lint", *words]
        # `make test LOCK=...` hands its own settings on.
        env = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "LOCK")}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert f"-r {CPU}" in planned()
    ready.parent.mkdir()
    ready.write_text(f"{CPU}\n")
    assert "ruff check" in planned() and "-r " not in planned()
    assert f"-r {CUDA}" in planned(f"LOCK={CUDA}")
    ready.write_text(f"{CUDA}\n")
    assert "-r " not in planned() and "-r " not in planned(f"LOCK={CUDA}")
    assert f"-r {CPU}" in planned(f"LOCK={CPU}")
