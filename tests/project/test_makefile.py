"""The Makefile installs what it is asked for, once."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.support import ROOT, need

CPU, CUDA = "envs/requirements-cpu.txt", "envs/requirements-cuda.txt"


# Settings of `make test LOCK=...`, which it hands on.
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "LOCK")}
# In place of Python: an installation takes a moment and must not be done twice at once.
INSTALLER = """#!/bin/sh
case "$1 $2" in
"-m venv")
    mkdir busy || { echo "two at once"; exit 1; }
    mkdir -p .venv/bin
    printf '#!/bin/sh\\nsleep 0.3\\necho "$@" >> installed\\n' > .venv/bin/pip
    printf '#!/bin/sh\\nrmdir busy 2> /dev/null || true\\n' > .venv/bin/ruff
    cp .venv/bin/ruff .venv/bin/snakefmt
    cp .venv/bin/ruff .venv/bin/snakemake
    chmod +x .venv/bin/* ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in (CPU, CUDA, "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_two_at_once_install_once(project):
    need(shutil.which("flock") and sys.platform == "linux", "it takes flock")
    installer = project / "python"
    installer.write_text(INSTALLER)
    installer.chmod(0o755)
    command = ["make", "lint", f"PYTHON={installer}"]
    both = [
        subprocess.Popen(
            command, cwd=project, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(2)
    ]
    said = [make.communicate()[0].decode() for make in both]
    assert [make.returncode for make in both] == [0, 0], said
    # The pinned packages, and the project.
    assert len((project / "installed").read_text().splitlines()) == 2, said


def test_another_list_is_installed_and_stays(project):
    ready = project / ".venv" / ".ready"

    def planned(*words):
        command = ["make", "--dry-run", "lint", *words]
        done = subprocess.run(command, cwd=project, env=ENVIRONMENT, capture_output=True, text=True)
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
