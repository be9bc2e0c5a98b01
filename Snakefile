# What to run is a study (studies/*.yaml); where and how is config.yaml. The rules are plumbing
# around the scripts in workflow/scripts, and jackpot.study knows every path and command line.
import os
import shutil
import sys
import tempfile

import snakemake.workflow
from snakemake.cli import parse_args
from snakemake.exceptions import WorkflowError
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.utils import min_version

from jackpot.checks import CHECKS
from jackpot.cli import command_options
from jackpot.environment import Environment
from jackpot.errors import JackpotError
from jackpot.fingerprints import code_of, digest, recorded
from jackpot.running.again import start_again
from jackpot.running.place import forget_stale_locks, hold, require_room, second_names
from jackpot.study import Plan, load_config, load_study

min_version("9.10")


configfile: "config.yaml"


report: "workflow/lib/jackpot/report/templates/workflow.rst"


try:
    SETTINGS = load_config(config)
    STUDY = load_study(SETTINGS.study, SETTINGS.datasets)
except JackpotError as error:
    raise WorkflowError(str(error)) from None

PLAN = Plan(STUDY, SETTINGS)
ROOT = PLAN.root


wildcard_constraints:
    dataset="[^/]+",
    model="[^/]+",
    pruner="[^/]+",
    ticket="[^/]+",
    check="[^/]+",
    data="[^/]+",
    sparsity=r"[0-9.e-]+",
    seed="[0-9]+",


if workflow.is_main_process:
    forget_stale_locks(ROOT)


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/prune.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        f"{ROOT}/report.html",
        rules.figures.input,
        # Snakemake makes a lost result again only if it is asked for by name.
        [file.path for file in RESULTS],
        LOOK,
    # Without one, Snakemake would end by listing every input.
    message:
        f"{STUDY.name}: look {PLAN.progress.look} of {PLAN.progress.looks} is in {ROOT}/report.html"


# Runs before the first job, and only if there is one.
onstart:
    try:
        require_room(ROOT)
        HELD = hold(ROOT)
    except JackpotError as error:
        raise WorkflowError(str(error)) from None
    # A job's second names of its results are for a Snakemake that was killed before it took note
    # of them. Those of a job that it knows to have ended would only stand in for what is deleted
    # or asked for again. (Elsewhere than in Snakemake 9.2x all are kept.)
    still_open = getattr(workflow.persistence, "_filter_incomplete_keys", set)
    for job in workflow.dag.needrun_jobs():
        if "resume" in job.params.keys() and not still_open(map(str, job.output)):
            shutil.rmtree(second_names(job.params.resume), ignore_errors=True)
    # There is nothing to limit on one machine; see workflow/rules/common.smk.
    if workflow.local_exec:
        workflow.scheduler.job_rate_limiter = None


# A look that was made in this call may send cells on to the next one.
onsuccess:
    if Plan(STUDY, SETTINGS).progress.look > PLAN.progress.look:
        start_again()
