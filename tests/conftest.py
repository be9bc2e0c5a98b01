"""What tests share."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest
import torch

from tests.support import need, snake
from tests.support.small import make_ticket
from tests.support.snake import Clone

torch.set_num_threads(1)
# Where there is a GPU, scripts would take it, and save trainings under its name.
os.environ.setdefault("JACKPOT_DEVICE", "cpu")


@pytest.fixture(scope="session")
def small_study(tmp_path_factory):
    """A study of three runs, made by one job at a time in forks; tests copy it, none changes it."""
    experiment = {"tickets": ["dense", "snip"], "checks": ["rearranged"]}
    study = {"experiments": [{**experiment, "sparsities": [0.8], "seeds": [0]}]}
    clone = Clone(tmp_path_factory.mktemp("small_study"), study=study)
    clone.make("runs.csv", "histories.csv", "layers.csv", "verdicts.csv", cores=1)
    return clone


@pytest.fixture(scope="session")
def warm(tmp_path_factory):
    """The environment of a warm server: a script costs milliseconds."""
    need(sys.platform == "linux", "warm processes need Linux")
    owner = subprocess.Popen(["sleep", "infinity"])
    folder = tmp_path_factory.mktemp("server") / "warm"
    yield {**os.environ, "JACKPOT_WARM": str(folder), "JACKPOT_WARM_OWNER": str(owner.pid)}
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)


@pytest.fixture(scope="module")
def ticket(tmp_path_factory):
    """A folder with the inputs of one small training."""
    folder = tmp_path_factory.mktemp("ticket")
    make_ticket(folder)
    return folder


def pytest_collection_modifyitems(items):
    """Mark what uses the study above; long files first, so that none is left over for one worker.

    Slurm's tests wait while others work; then come those that start Snakemake most often.
    """
    for item in items:
        if "small_study" in item.fixturenames:
            item.add_marker("workflow")
    calls = Counter(item.path for item in items if any(item.iter_markers("workflow")))
    items.sort(key=lambda item: (not any(item.iter_markers("slurm")), -calls[item.path]))


def pytest_runtest_setup(item):
    """Whether this test may start Snakemake: what is left out by its marker must not need it."""
    snake.marked = any(item.iter_markers("workflow")) or any(item.iter_markers("slurm"))
