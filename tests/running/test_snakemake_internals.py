"""Snakemake's private parts are reached from one file, for the versions it was tried with."""

import asyncio
import re
import tomllib
from importlib.metadata import version
from types import SimpleNamespace

import pytest
import snakemake.api
import snakemake.workflow
from packaging.specifiers import SpecifierSet
from snakemake.cli import parse_args
from snakemake.dag import DAG
from snakemake.jobs import GroupJob
from snakemake.persistence import PersistenceBase
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.settings.types import DAGSettings, MaxJobsPerTimespan

from jackpot.running import snakemake_internals
from tests.support import ROOT

PRIVATE = re.compile(
    r"snakemake\.(scheduling|cli|dag|jobs|persistence|workflow)\b|persistence\b|job_rate_limiter"
    r"|\b_nodes\b|\.snakemake/|workflow\._|scheduler\.|dag\.(?!needrun_jobs)"
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
    ("words", "dry"),
    [(["-n"], True), (["all", "--dry-run"], True), (["--cores", "2"], False), (["--x"], False)],
)
def test_a_dry_run_is_told_from_its_command_line(monkeypatch, tmp_path, words, dry):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Snakefile").touch()
    monkeypatch.setattr("sys.argv", ["snakemake", *words])
    assert snakemake_internals.is_dry_run() is dry


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


def test_what_was_noted_of_a_file_is_taken_for_nothing():
    class Persistence:
        def _get_key(self, target):
            return str(target)

        def metadata(self, target):
            return f"noted of {target}"

    assert hasattr(PersistenceBase, "_get_key") and hasattr(PersistenceBase, "metadata")
    workflow = SimpleNamespace(persistence=Persistence())
    for number in range(3000):
        snakemake_internals.forget(workflow, [f"more{number}"])
    for path in ("a", "b"):
        snakemake_internals.forget(workflow, [path])
    assert [workflow.persistence.metadata(path) for path in "abc"] == [None, None, "noted of c"]


def test_where_a_call_ends_early_its_targets_are_not_missed():
    def asked_for(**settings):
        dag = SimpleNamespace(targetfiles=["page.html"], targetjobs=[])
        settings = {"until": frozenset(), "omit_from": frozenset(), **settings}
        workflow = SimpleNamespace(dag=dag, dag_settings=SimpleNamespace(**settings))
        return snakemake_internals.asked_for(workflow)

    assert asked_for() == ["page.html"]
    assert asked_for(until={"collect"}) == asked_for(omit_from={"report"}) == []


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


@pytest.mark.parametrize("forced", ["forcetargets", "forceall", "forcerun"])
def test_a_call_that_forces_nothing(monkeypatch, forced):
    # The patched class is looked up in snakemake.workflow when a call's jobs are laid out.
    assert snakemake.workflow.DAG is DAG
    monkeypatch.setattr(snakemake.workflow, "DAG", DAG)
    workflow = SimpleNamespace(dag_settings=DAGSettings(**{forced: {"a"}}))

    def dag():
        options = {"targetfiles": {"a"}, "forcefiles": {"a"}, "forcerules": {"rule"}}
        return snakemake.workflow.DAG(workflow, (), **options, forceall=True, omitfiles={"b"})

    assert snakemake_internals.is_forced(workflow) and dag().forcefiles == {"a"}
    snakemake_internals.force_nothing()
    workflow.dag = dag()
    assert not snakemake_internals.is_forced(workflow)
    assert workflow.dag.forcefiles == workflow.dag.forcerules == set()
    assert (workflow.dag.targetfiles, workflow.dag.omitfiles) == ({"a"}, {"b"})
    snakemake_internals.redo(workflow, ["c"])
    assert workflow.dag.forcefiles == {"c"}


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


def test_a_group_says_why_it_failed_and_has_the_name_of_a_rule(monkeypatch, caplog):
    told = []
    monkeypatch.setattr(GroupJob, "log_error", lambda group, msg=None, **more: told.append(more))
    monkeypatch.setattr(GroupJob, "rule", None, raising=False)
    snakemake_internals.tell_why_groups_fail()
    snakemake_internals.tell_why_groups_fail()
    group = SimpleNamespace(name="light_prepare")
    logger = snakemake_internals.logger
    monkeypatch.setattr(logger, "propagate", True)
    with caplog.at_level("ERROR", logger=logger.name):
        GroupJob.log_error(group, "OUT_OF_MEMORY", aux_logs=["a.log"])
        GroupJob.log_error(SimpleNamespace(name="other"))
    assert [record.getMessage() for record in caplog.records] == ["light_prepare: OUT_OF_MEMORY"]
    assert group.why == "OUT_OF_MEMORY" and told == [{"aux_logs": ["a.log"]}, {}]
    assert GroupJob.rule.fget(group).name == "light_prepare"


def test_a_job_that_sacct_says_somebody_cancelled_is_a_cancelled_one(monkeypatch):
    plugin = pytest.importorskip("snakemake_executor_plugin_slurm")
    answers = [({"1": "CANCELLED by 1000", "2": "RUNNING", "3": ""}, 0.1), (None, None)]

    async def query_job_status(command, logger):
        return answers.pop(0)

    monkeypatch.setattr(plugin, "query_job_status", query_job_status)
    for _ in range(2):
        snakemake_internals.notice_cancelled_jobs()
    found = asyncio.run(plugin.query_job_status("sacct", None))
    assert found == ({"1": "CANCELLED", "2": "RUNNING", "3": ""}, 0.1)
    assert asyncio.run(plugin.query_job_status("sacct", None)) == (None, None)


@pytest.mark.parametrize(("given", "lifted"), [("100/1s", True), (None, True), ("10/1m", False)])
def test_only_snakemakes_own_limit_of_jobs_a_second_is_lifted(given, lifted):
    limit = MaxJobsPerTimespan.parse_choice(given) if given else None
    workflow = SimpleNamespace(
        scheduling_settings=SimpleNamespace(max_jobs_per_timespan=limit),
        scheduler=SimpleNamespace(job_rate_limiter="there"),
    )
    snakemake_internals.lift_job_rate_limit(workflow)
    assert (workflow.scheduler.job_rate_limiter is None) == lifted
    _, arguments = parse_args(["--cores", "1"])
    default = arguments.max_jobs_per_timespan
    assert (default.max_jobs, default.timespan) == (100, 1)
