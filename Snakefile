# What to run is a study (studies/*.yaml); where and how is config.yaml. The rules are plumbing
# around the scripts in workflow/scripts, and jackpot.study knows every path and command line.
import gc
import json
import os
import re
import sys
from functools import partial
from shlex import quote

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

# Its library is beside it, whatever is installed.
sys.path.insert(0, os.path.join(str(workflow.current_basedir), "workflow", "lib"))

from jackpot.cli import command_options
from jackpot.environment import Environment, portable_device, refuse_second_study
from jackpot.errors import JackpotError
from jackpot.fingerprints import code_of, digest, recorded
from jackpot.machine import require_bfloat16, restricted
from jackpot.running import results_folder, snakemake_internals
from jackpot.running.again import is_again, start_again
from jackpot.running.display import show_progress
from jackpot.running.links import forget_links
from jackpot.running.messages import say_what_changed, shorten_messages, summary
from jackpot.running.private_folder import warm_folder
from jackpot.study import Plan, load_config, load_study
from jackpot.study.load import config_file
from jackpot.study.options import refuse_changed_study
from jackpot.vocabulary import FIGURE_KINDS, SOURCE_OF_FIGURE, TABLE_KINDS

min_version("9.27")

# A layout is a million objects that stay. Python's usual looks for cycles among them, every 700
# new ones, took a fifth of its time.
gc.set_threshold(20_000)


# Another workflow that has ours as a module has rules, files and a config.yaml of its own.
IS_MODULE = snakemake_internals.is_module(workflow)
CONFIG_FILE = config_file(own=not IS_MODULE)


configfile: CONFIG_FILE


report: "workflow/lib/jackpot/report/templates/workflow.rst"


try:
    SETTINGS = load_config(config)
    snakemake_internals.refuse_prefix(workflow)
    STUDY = load_study(SETTINGS.study, SETTINGS.datasets)
    PLAN = Plan(STUDY, SETTINGS)
    refuse_second_study(STUDY.name, PLAN.study_digest)
    PLAN.progress  # reads the files of its looks
    PLAN.own_code()  # and those of the user's own
    for target in snakemake_internals.targets():
        PLAN.check_target(target)
        if not IS_MODULE:
            PLAN.refuse_part_of_run(target)
            PLAN.refuse_other_study(target)
except JackpotError as error:
    raise WorkflowError(str(error)) from None

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


# Another Snakemake at work now makes what this one lays out out of date.
AT_WORK = results_folder.at_work(ROOT) if workflow.is_main_process else None

# Jobs inherit what tells it, and Snakemake's own processes for them are told to force theirs.
if workflow.is_main_process and is_again():
    snakemake_internals.force_nothing()

if workflow.is_main_process:
    try:
        PLAN.refuse_changed_sources()
    except JackpotError as error:
        raise WorkflowError(str(error)) from None
    # A real call refuses, once it knows which datasets are to be read.
    if snakemake_internals.is_dry_run():
        for missing in PLAN.missing_sources():
            print(f"warning: {missing} Nothing that needs it can be made.", file=sys.stderr)


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/prune.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        PAGE,
        rules.figures.input,
        # Snakemake makes a lost file again only if it is asked for by name.
        [file.path for file in RESULTS],
        GATHERED,
        VERDICTS,
        LOOK,
    # Without one, Snakemake would end by listing every input.
    message:
        f"{STUDY.name}: look {PLAN.progress.look} of {PLAN.progress.looks} is in {PAGE}"


# Runs before the first job, and only if there is one.
onstart:
    try:
        results_folder.require_space(ROOT)
        results_folder.hold(ROOT)
        wanted = list(workflow.dag.needrun_jobs())
        PLAN.require_sources({str(file) for job in wanted for file in job.output})
        told = [job.params.get("options") or "" for job in wanted]
        if any("--arithmetic portable" in options for options in told):
            portable_device(SETTINGS.device)
        if workflow.local_exec and any("--precision bfloat16" in options for options in told):
            require_bfloat16(SETTINGS.device, SETTINGS.study)
    except JackpotError as error:
        raise WorkflowError(str(error)) from None
    if AT_WORK:
        results_folder.release(ROOT)
        raise WorkflowError(f"{AT_WORK} It has ended just now: start this call again.")
    sources = (os.path.dirname(PLAN.source(dataset)) for dataset in STUDY.datasets)
    results_folder.correct_future_dates(ROOT, *sources)
    # Links to a training's results are for a Snakemake that was killed before it took note of
    # them. Those of a job that it knows to have ended would only stand in for what is deleted or
    # asked for again.
    for job in wanted:
        if "resume" in job.params.keys():
            if not snakemake_internals.ended_unnoticed(workflow, job):
                forget_links(job.params.resume)
    snakemake_internals.lift_job_rate_limit(workflow)
    show_progress(
        jobs=len(workflow.dag),
        standing=PLAN.progress.standing(STUDY),
        details=workflow.output_settings.printshellcmds or workflow.output_settings.verbose,
    )


# Snakemake calls it a success when every job that it chose has ended well. It leaves out what
# follows a job that had to run for another reason than a missing file, if all that lies between is
# `ancient`: the same command once more makes that.
onsuccess:
    missing = [f for f in snakemake_internals.asked_for(workflow) if not os.path.exists(f)]
    if missing and not start_again(because=digest(missing)):
        raise WorkflowError(
            f"{len(missing)} of the files asked for are still to be made, {missing[0]} first, and "
            "no job is left that would make them."
        )
    # A look that was made in this call may send cells on to the next one. A call that asked for
    # that look by its path has it; no rule of the next one's makes it.
    by_path = map(os.path.normpath, snakemake_internals.targets())
    more = Plan(STUDY, SETTINGS).progress.look > PLAN.progress.look
    if not missing and more and PLAN.look_now() not in by_path:
        start_again()


onerror:
    failed = snakemake_internals.failed_jobs(workflow)
    print(summary(failed, snakemake_internals.was_stopped(workflow)), file=sys.stderr)
