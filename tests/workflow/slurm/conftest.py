"""A Slurm of its own for each file of tests, so that two run at once, and the undisturbed study."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.support import need
from tests.support.slurm import Cluster
from tests.support.slurm_study import TOGETHER, Head


@pytest.fixture(scope="module")
def cluster():
    there = all(map(shutil.which, ("slurmctld", "slurmd", "munged")))
    need(there and os.geteuid() == 0, "needs Debian's slurm-wlm and munge, and root")
    # munged's user must be able to reach its socket, which pytest's own folders do not allow.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        cluster = Cluster(Path(folder) / "slurm")
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture(scope="module")
def reference(cluster, tmp_path_factory):
    """The undisturbed study."""
    head = Head(cluster, tmp_path_factory.mktemp("reference"))
    head.start(*TOGETHER)
    try:
        head.finish()
        yield head
    finally:
        head.stop()


@pytest.fixture
def head(cluster, reference, tmp_path):
    """A study whose tickets are still to be trained."""
    head = Head(cluster, tmp_path)
    but_runs = shutil.ignore_patterns("runs*")
    shutil.copytree(reference.results, head.results, ignore=but_runs)
    shutil.copytree(reference.folder / "data", tmp_path / "data")
    yield head
    head.stop()
