"""``snakemake --sdm conda``: jobs in an environment that Snakemake built from environment.yaml."""

import os

import pytest

from tests.support import PACKAGE, conda
from tests.support.snake import Clone

pytestmark = pytest.mark.workflow


@pytest.mark.parametrize("warm", [True, False])
def test_jobs_run_in_the_environment_that_snakemake_built(tmp_path, monkeypatch, warm):
    """It has the pinned packages and no jackpot; Snakemake's own Python is not the jobs'."""
    experiment = {"tickets": ["dense", "snip"], "sparsities": [0.8], "seeds": [0]}
    clone = Clone(tmp_path / "c", study={"experiments": [experiment]}, warm_processes=warm)
    monkeypatch.setenv("PATH", f"{conda.installed(tmp_path / 'conda')}:{os.environ['PATH']}")
    # Each interpreter that starts says so: those of jobs must be the environment's.
    log = tmp_path / "interpreters"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        f"import sys\nopen({str(log)!r}, 'a').write(f'{{sys.prefix}} {{sys.orig_argv}}\\n')\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "site"), str(PACKAGE.parent)]))
    text = clone.make(f"{clone.run_of('snip')}/metrics.json", options=["--sdm", "conda"])
    assert "Creating conda environment" in text
    (environment,) = (clone.folder / ".snakemake" / "conda").glob("*_/")
    assert not list(environment.glob("lib/python*/site-packages/*jackpot*"))
    works = [
        line for line in log.read_text().splitlines() if "retrain.py" in line or "--serve" in line
    ]
    assert works and all(str(environment) in line for line in works), works
    assert clone.metrics(clone.run_of("snip"))["test_accuracy"] >= 0
