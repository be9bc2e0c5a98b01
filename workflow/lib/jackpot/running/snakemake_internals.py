"""Everything that reaches into Snakemake's private parts, and what breaks without each.

Tried with Snakemake 9.27.1; pyproject.toml caps the dependency to 9.27. Before another version is
allowed, tests/running/test_snakemake_internals.py and tests/workflow/slurm/ have to pass.
"""

import contextlib
import functools
import io
import os
import sys
from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import snakemake.api
import snakemake.workflow
from snakemake.cli import parse_args
from snakemake.dag import DAG
from snakemake.io import _IOFile
from snakemake.jobs import GroupJob
from snakemake.logging import logger
from snakemake.scheduling.job_scheduler import JobScheduler

from jackpot.errors import JackpotError


def targets() -> list[str]:
    """What the command line asks for by name, which Snakemake looks at once rules are laid out.

    Without it ``snakemake figures`` would collect and train before it draws, and a cell that is
    not in the study would end in a traceback.
    """
    arguments = _arguments()
    return sorted(arguments.targets) if arguments else []


def is_dry_run() -> bool:
    """Whether this call only tells what it would do, which Snakemake knows once rules are laid out.

    Without it a dry run would say nothing of images that are not there, as no job is started.
    """
    arguments = _arguments()
    return bool(arguments and arguments.dryrun)


def _arguments():
    """This call's command line; None if it is another program's."""
    try:
        # It tells which profile it has read; it has told that already.
        with contextlib.redirect_stderr(io.StringIO()):
            return parse_args(sys.argv[1:])[1]
    except SystemExit:
        return None


def is_module(workflow) -> bool:
    """Whether the Snakefile at hand is being read as a module of another workflow.

    Without it the names of the other workflow's rules would be taken for ours.
    """
    return not workflow.modifier.is_main_snakefile()


def refuse_prefix(workflow) -> None:
    """Refuse what would change our paths behind our back.

    Without it the jobs of ``module jackpot: prefix: ...`` would train and then lack their files:
    Snakemake changes what a rule's outputs are called, and not what its command is told.

    Raises:
        JackpotError: another workflow has ours as a module with a prefix.
    """
    modifier = workflow.modifier.path_modifier
    while modifier:
        if modifier.prefix or modifier.modifies_prefixes:
            raise JackpotError(
                "a module of jackpot takes no prefix and no replace_prefix: say where results and "
                "downloads are to be by results_dir and data_dir in its config"
            )
        # That of a workflow in between, which has the other as a module.
        modifier = modifier.inner_modifier


def lift_job_rate_limit(workflow) -> None:
    """Submit as fast as jobs can start.

    Without it the scheduler of a long study takes a whole core: the limit of 100 jobs a second,
    which no option switches off, starts a timer for every finished job, and each timer re-runs
    the scheduler every second from then on. Another limit is the user's, and stays.
    """
    limit = workflow.scheduling_settings.max_jobs_per_timespan
    if limit is None or (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def tell_why_groups_fail() -> None:
    """Say of a group of jobs why it failed, as Snakemake says of a single one.

    Without it nobody would learn that a Slurm job ran out of memory or was refused. A submission
    that raises would hang for ever: the plugin reports it by the name of the group's rule, which
    a group has not.
    """
    told = GroupJob.log_error
    if hasattr(told, "__wrapped__"):
        return

    @functools.wraps(told)
    def log_error(group, msg=None, **options) -> None:
        if msg:
            group.why = msg
            logger.error(f"{group.name}: {msg}")
        told(group, msg, **options)

    GroupJob.log_error = log_error
    GroupJob.rule = property(lambda group: SimpleNamespace(name=group.name))


def notice_cancelled_jobs() -> None:
    """Read sacct's ``CANCELLED by 1000`` as ``CANCELLED``.

    Without it a job that was cancelled is waited for for ever where the Slurm plugin asks sacct.
    """
    plugin = sys.modules.get("snakemake_executor_plugin_slurm")
    asked = getattr(plugin, "query_job_status", None)
    if asked is None or hasattr(asked, "__wrapped__"):
        return

    @functools.wraps(asked)
    async def query_job_status(*arguments):
        states, took = await asked(*arguments)
        return states and {job: state.partition(" ")[0] for job, state in states.items()}, took

    plugin.query_job_status = query_job_status


def run_cells_here(workflow, at_once: int) -> None:
    """In a cluster job's own Snakemake: run its cells itself, and all of them.

    Without it the Slurm plugin's ``--jobs 1`` allows one cell at a time whatever the job has
    asked for, and the first cell that fails leaves the job's other cells undone: neither
    keep-going nor a profile is handed on to a cluster job.
    """
    workflow.register_resource("_nodes", at_once)

    class KeepGoingScheduler(JobScheduler):
        def __init__(self, *args):
            super().__init__(*args)
            self.keepgoing = True
            self.job_rate_limiter = None

    snakemake.workflow.JobScheduler = KeepGoingScheduler


def ended_unnoticed(workflow, job) -> bool:
    """Whether a job was running when its Snakemake was killed, so that its end was not noted.

    Without it a training that had just finished would be done again after a kill, or one whose
    result the user deleted would be restored from its links, not trained.
    """
    return bool(workflow.persistence._filter_incomplete_keys(map(str, job.output)))


def remembers(workflow, path: str) -> bool:
    """Whether Snakemake has noted of what settings it made a file, and would notice others.

    Called from an input function, that is while jobs are found.
    """
    return workflow.persistence.params(_IOFile(path, None)) is not None


def sees_another(workflow, path: str, value: str) -> bool:
    """Whether Snakemake has noted that it made a file without this parameter of today's.

    Without it a file that another clone, or a copy, has put in the place of one that was made here
    would pass for that one: of what Snakemake has noted nothing has changed.
    """
    noted = workflow.persistence.params(_IOFile(path, None))
    return noted is not None and repr(value) not in noted


def forget(workflow, paths: Iterable[str]) -> None:
    """Take what Snakemake has noted of files for nothing, in this call.

    Without it results of today's that were brought back, or that another clone has put where this
    one had made older ones, would be made again: of what was noted here something has changed.
    """
    noted = workflow.persistence
    forgotten = getattr(noted.metadata, "forgotten", None)
    if forgotten is None:
        known, forgotten = noted.metadata, set()

        def metadata(target):
            return None if noted._get_key(target) in forgotten else known(target)

        metadata.forgotten = forgotten
        noted.metadata = metadata
    forgotten.update(noted._get_key(_IOFile(path, None)) for path in paths)


def redo(workflow, paths: Iterable[str]) -> None:
    """Run the jobs of these files again, if they are among those of this call.

    Without it results that were copied or cloned would pass for today's when other code or
    settings made them: what Snakemake compares, it has noted where they were made.
    """
    workflow.dag.forcefiles.update(paths)


def is_forced(workflow) -> bool:
    """Whether the command line asks for jobs that have nothing to do (``-F``, ``-f``, ``-R``).

    Without it such a job would lack the inputs that it does not need as long as it does not run.
    """
    if snakemake.workflow.DAG is _Unforced:
        return False
    settings = workflow.dag_settings
    return bool(settings.forceall or settings.forcetargets or settings.forcerun)


class _Unforced(DAG):
    def __init__(self, *arguments, **options):
        nothing = {"forceall": False, "forcerules": (), "forcefiles": ()}
        super().__init__(*arguments, **{**options, **nothing})


def force_nothing() -> None:
    """Run no job of this call because its command line or its profile forces it.

    Without it every look would train again what the call before it was told to train again.
    """
    snakemake.workflow.DAG = _Unforced


def asked_for(workflow) -> list[str]:
    """Files that were asked for by this call, once its jobs are known.

    Without it nobody would notice a call that ends well and has not made what it was asked for.
    """
    if workflow.dag_settings.until or workflow.dag_settings.omit_from:
        return []  # those that are wanted of them were made
    files = set(map(str, workflow.dag.targetfiles))
    for job in workflow.dag.targetjobs:
        # A target like `all` makes nothing itself.
        made = set(job.output) - set(job.temp_output)
        files |= set(map(str, made if job.output else job.input))
    return sorted(files)


def was_stopped(workflow) -> bool:
    """Whether a call that did not end well was told to end (Ctrl-C, SIGTERM): nothing failed.

    Without it one that was would end with "At least one job did not complete successfully" alone.
    """
    return not (workflow.scheduler.failed or workflow.scheduler._executor_error)


def failed_jobs(workflow) -> Iterator[tuple[str, str, str]]:
    """What each failed job was to do, its log, and what is known of its group's failure.

    Without it the failures could not be listed.
    """
    for failed in workflow.scheduler.failed:
        # Of a group of jobs, those that did not make their files.
        for job in failed if failed.is_group() else [failed]:
            if not failed.is_group() or not all(map(os.path.exists, map(str, job.output))):
                log = str(job.log[0]) if job.log else ""
                yield job.message or job.rule.name, log, getattr(failed, "why", "")
