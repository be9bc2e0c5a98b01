"""Snakemake's private parts are reached from one file, for the versions it was tried with."""

import re
import tomllib
from importlib.metadata import version

import pytest
import snakemake.api
import snakemake.workflow
from packaging.specifiers import SpecifierSet
from snakemake.persistence import PersistenceBase
from snakemake.scheduling.job_scheduler import JobScheduler

from jackpot.running import snakemake_internals
from tests.support import ROOT

PRIVATE = re.compile(
    r"snakemake\.(scheduling|cli|dag|jobs|persistence|workflow)\b|persistence\b|job_rate_limiter"
    r"|_nodes\b|\.snakemake/|workflow\._|scheduler\.|dag\.(?!needrun_jobs)"
)


def test_no_other_file_reaches_in():
    files = [ROOT / "Snakefile", *(ROOT / "workflow").rglob("*.smk")]
    files += (ROOT / "workflow").rglob("*.py")
    for file in files:
        if file.name != "snakemake_internals.py":
            code = re.sub(r"#.*", "", file.read_text())
            assert not PRIVATE.search(code), f"{file}: {PRIVATE.search(code)[0]}"


def test_the_installed_version_is_one_that_was_tried():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (required,) = (name for name in project["dependencies"] if re.match("snakemake[<>=]", name))
    allowed = SpecifierSet(required.removeprefix("snakemake"))
    assert version("snakemake") in allowed and "10.0" not in allowed
    (tried,) = re.findall(r"Snakemake (\d+\.\d+\.\d+)", snakemake_internals.__doc__)
    assert tried in allowed
    for lock in (ROOT / "envs").glob("requirements-*.txt"):
        assert re.search(rf"^snakemake=={tried}\b", lock.read_text(), re.MULTILINE), lock


@pytest.mark.parametrize(
    ("words", "targets"),
    [
        (["figures"], ["figures"]),
        (["--cores", "2", "figures", "-n"], ["figures"]),
        (["--cores", "2", "--config", "a=figures", "--", "all"], ["all"]),
        (["--cores", "2", "figures", "all"], ["all", "figures"]),
        (["--cores", "2"], []),
        (["--no-such-option"], []),
    ],
)
def test_what_is_asked_for_by_name(monkeypatch, tmp_path, words, targets):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["snakemake", *words])
    assert snakemake_internals.targets() == targets


def test_cells_of_a_cluster_job_go_on_after_a_failure(monkeypatch):
    class Workflow:
        def register_resource(self, name, value):
            self.resource = name, value

    # The patched class is looked up in snakemake.workflow, and sets these after its parent has.
    monkeypatch.setattr(snakemake.workflow, "JobScheduler", JobScheduler)
    given = []
    monkeypatch.setattr(JobScheduler, "__init__", lambda self, *args: given.append(args))
    workflow = Workflow()
    snakemake_internals.run_cells_here(workflow, 4)
    cells = snakemake.workflow.JobScheduler(1, 2)
    assert workflow.resource == ("_nodes", 4) and given == [(1, 2)]
    assert cells.keepgoing is True and cells.job_rate_limiter is None
    assert isinstance(cells, JobScheduler)


def test_the_marks_of_running_jobs_are_asked_for_by_path():
    class Persistence:
        def _filter_incomplete_keys(self, keys):
            return {"b"} & set(keys)

    class Thing:
        pass

    assert hasattr(PersistenceBase, "_filter_incomplete_keys")
    workflow, one, other = Thing(), Thing(), Thing()
    workflow.persistence, one.output, other.output = Persistence(), ["a", "b"], ["c"]
    assert snakemake_internals.ended_unnoticed(workflow, one)
    assert not snakemake_internals.ended_unnoticed(workflow, other)
