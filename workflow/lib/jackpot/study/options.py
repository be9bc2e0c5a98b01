"""A study on a command line: how the scripts around its tables are told of it."""

import argparse
import json

from jackpot.environment import Environment
from jackpot.errors import JackpotError
from jackpot.study.load import load_config, load_study
from jackpot.study.plan import Plan

# In the order of Plan.study_options, which writes what is read here.
NAMES = ("study", "results_dir", "data_dir", "datasets")


def add_study(parser: argparse.ArgumentParser) -> None:
    """A study as Snakemake reads it on this machine."""
    parser.add_argument("--study", required=True, help="the study's YAML file")
    parser.add_argument("--results-dir", default="results", help="(default: results)")
    parser.add_argument("--data-dir", default="data", help="(default: data)")
    parser.add_argument("--datasets", type=json.loads, default={}, help="as in config.yaml, JSON")


def take_plan(args: argparse.Namespace) -> Plan:
    """Take the options of ``add_study`` out of ``args`` and read the study.

    Raises:
        JackpotError: the study is not the one that Snakemake laid out when it started.
    """
    config = load_config({name: vars(args).pop(name) for name in NAMES}, "the command line")
    plan = Plan(load_study(config.study, config.datasets), config)
    if Environment.read().study not in ("", plan.study_digest):
        raise JackpotError(
            f"{config.study}: was changed while Snakemake was at work, so what was run is not "
            "what it says now. Nothing is lost; start Snakemake again."
        )
    return plan
