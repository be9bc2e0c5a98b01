"""``snakemake --sdm conda``: jobs in an environment that Snakemake built from environment.yaml."""

import os

import pytest

from tests.support import conda
from tests.support.snake import Clone

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize("warm", [True, False])
def test_jobs_run_in_the_environment_that_snakemake_built(tmp_path, monkeypatch, warm):
    """It has the pinned packages and no jackpot; Snakemake's own Python is not the jobs'."""
    experiment = {"tickets": ["dense", "snip"], "sparsities": [0.8], "seeds": [0]}
    clone = Clone(tmp_path / "c", study={"experiments": [experiment]}, warm_processes=warm)
    monkeypatch.setenv("PATH", f"{conda.installed(tmp_path / 'conda')}:{os.environ['PATH']}")
    text = clone.make(f"{clone.run_of('snip')}/metrics.json", options=["--sdm", "conda"])
    assert "Creating conda environment" in text
    (environment,) = (clone.folder / ".snakemake" / "conda").glob("*_/")
    assert not list(environment.glob("lib/python*/site-packages/*jackpot*"))
    started = environment.with_name(environment.name + ".started").read_text()
    assert ("--serve" in started) is warm and ("retrain.py" in started) is not warm
    assert clone.metrics(clone.run_of("snip"))["test_accuracy"] >= 0
