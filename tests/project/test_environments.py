"""The lists of packages agree, and a job needs nothing that its environment does not have."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import requires

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support import ROOT

ENVS = ROOT / "envs"
# Who runs the jobs; the jobs do not import them.
SNAKEMAKES = {"snakemake", "snakemake-executor-plugin-slurm"}


def pins(lines):
    """Package -> pin, of a lock's lines."""
    found = [line.split()[0] for line in lines if re.match(r"\w", line)]
    return {canonicalize_name(re.split("===?", pin)[0]): pin for pin in found}


def lock(name):
    return pins((ENVS / name).read_text().splitlines())


def needed(names):
    """These packages and all that they need on this platform, as far as it is installed here."""
    found, waiting = set(), list(names)
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for text in requires(name) or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def test_conda_has_the_pins_of_what_jobs_need():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {Requirement(text).name for text in project["dependencies"]} - SNAKEMAKES
    pinned, wanted = lock("requirements-cpu.txt"), needed(names)
    # A torch that is a CUDA build needs more, which is in the other lock.
    assert wanted - pinned.keys() <= lock("requirements-cuda.txt").keys()
    expected = {name: pinned[name] for name in wanted & pinned.keys()}
    *_, pip = yaml.safe_load((ENVS / "environment.yaml").read_text())["dependencies"]
    assert pins(pip["pip"]) == expected


def test_conda_reads_no_file_beside_it():
    """Snakemake copies environment.yaml elsewhere and runs pip there."""
    text = (ENVS / "environment.yaml").read_text()
    assert not re.search(r"^ *- *(-r|-e|-c|\.|file:)", text, re.M)


def test_hashes_are_those_of_the_lock():
    text = (ENVS / "requirements-cuda-hashes.txt").read_text()
    assert pins(text.splitlines()) == lock("requirements-cuda.txt")
    for entry in re.split(r"\n(?=\w)", re.sub(r"^#.*\n", "", text, flags=re.M).strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


@pytest.mark.workflow
def test_jobs_take_jackpot_from_the_workflow_whatever_is_installed(tmp_path):
    """In an environment that has no jackpot, as conda's, and beside another one."""
    other = tmp_path / "site" / "jackpot"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise SystemExit('the wrong jackpot')")
    command = [sys.executable, "-S", "-E", ROOT / "workflow" / "scripts" / "warm.py"]
    done = subprocess.run(
        [*command, ROOT / "workflow" / "scripts" / "initialise.py", "--help"],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "--architecture" in done.stdout, done.stderr
