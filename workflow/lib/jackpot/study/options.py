"""A study on a command line: how scripts are told of it, by Snakemake and by hand."""

import argparse
import json
from typing import Any

from jackpot.environment import Environment
from jackpot.errors import JackpotError
from jackpot.study.config import Config
from jackpot.study.load import config_file, load_config, load_study, read_config
from jackpot.study.plan import Plan

# Plan.study_options writes what is read here.
NAMES = ("study", "results_dir", "data_dir", "datasets")
# A folder for each published study.
PUBLISHED = "results/published"


def add_study(parser: argparse.ArgumentParser) -> None:
    """A study as Snakemake reads it on this machine."""
    parser.add_argument("--study", required=True, help="the study's YAML file")
    for name in ("results_dir", "data_dir"):
        usual = Config.model_fields[name].default
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=usual, help=f"(default: {usual})")
    _add_datasets(parser, {})


def _add_datasets(parser: argparse.ArgumentParser, usual: dict | None) -> None:
    parser.add_argument("--datasets", type=_json, default=usual, help="as in config.yaml, JSON")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not JSON: {error}") from None


def take_plan(args: argparse.Namespace) -> Plan:
    """Take the options of ``add_study`` out of ``args`` and read the study.

    Raises:
        JackpotError: the study is not the one that Snakemake laid out when it started.
    """
    config = load_config({name: vars(args).pop(name) for name in NAMES}, "the command line")
    plan = Plan(load_study(config.study, config.datasets), config)
    refuse_changed_study(plan)
    return plan


def refuse_changed_study(plan: Plan) -> None:
    """Refuse a study that is not the one that Snakemake laid out when it started.

    Raises:
        JackpotError: naming the study's file, or one of the user's own that it names.
    """
    laid_out = Environment.read()
    changed = [plan.config.study] if laid_out.study not in ("", plan.study_digest) else []
    if laid_out.own_code:
        before, now = json.loads(laid_out.own_code), plan.own_code()
        changed += [path for path in now if before.get(path) != now[path]]
    if changed:
        raise JackpotError(
            f"{changed[0]}: was changed while Snakemake was at work, so what was run is not "
            "what it says now. Nothing is lost; start Snakemake again."
        )


def add_place(parser: argparse.ArgumentParser) -> None:
    """Which study, and where its results are, for a script that is started by hand."""
    parser.add_argument(
        "--config", default=config_file(), help="(default: config.yaml here, or of the clone)"
    )
    parser.add_argument("--study", help="the study's YAML file (default: as config.yaml says)")
    parser.add_argument("--results-dir", help="(default: as config.yaml says)")
    parser.add_argument("--data-dir", help="(default: as config.yaml says)")
    _add_datasets(parser, None)


def plan_there(args: argparse.Namespace) -> Plan:
    """The study that the options of ``add_place`` name."""
    config = read_config(args.config, **{name: getattr(args, name) for name in NAMES})
    return Plan(load_study(config.study, config.datasets), config)
