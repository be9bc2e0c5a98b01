# What to run is a study (studies/*.yaml); where and how is config.yaml. The rules are plumbing
# around the scripts in workflow/scripts, and jackpot.study knows every path and command line.
import os
import subprocess
import sys
import tempfile

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version

from jackpot.errors import JackpotError
from jackpot.study import Plan, load_config, load_study, recorded

min_version("9.10")


configfile: "config.yaml"


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
