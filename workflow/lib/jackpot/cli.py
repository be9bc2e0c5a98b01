"""What the scripts share: options made from settings, and errors shown as messages."""

import argparse
import json
import os
import select
import shlex
import signal
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError

from jackpot.checks import CHECKS, Check, find_check
from jackpot.data.kinds import KINDS
from jackpot.environment import Environment
from jackpot.errors import JackpotError
from jackpot.machine import restrict
from jackpot.pruning.allocation import allocation_names
from jackpot.pruning.scores import SCORES
from jackpot.registry import own_traceback
from jackpot.settings import Arithmetic, Device, Settings, Training, complaints


def add_settings(
    parser: argparse.ArgumentParser, settings: type[Settings], without: tuple[str, ...] = ()
) -> None:
    """One ``--option`` for every field, with its type, default, allowed values and help."""
    # PYTHONOPTIMIZE=2 leaves no docstrings.
    group = parser.add_argument_group(settings.__name__, (settings.__doc__ or "").split("\n")[0])
    for name, field in settings.model_fields.items():
        if name in without:
            continue
        kind, many = _plain(field.annotation)
        choices = get_args(kind) if get_origin(kind) is Literal else None
        options: dict[str, Any] = {"help": field.description, "dest": name}
        if kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif choices:
            options |= {"choices": choices, "type": type(choices[0])}
        elif kind in (int, float, str):
            options |= {"type": kind, "metavar": kind.__name__.upper()}
        else:
            options |= {"type": _key_value, "metavar": "KEY=VALUE"}
            many = True
        if names := NAMES.get((settings.__name__, name)):
            options["help"] = f"{field.description}: {', '.join(names())}"
        if many:
            options["nargs"] = "*"
        if field.is_required():
            options["required"] = True
        elif field.default is not None and field.default not in ({}, ()):
            options["help"] = f"{options['help']} (default: {field.default})"
        group.add_argument(f"--{_dashed(name)}", **options)


# Options of scripts that name a method: what is built in stands in their help.
NAMES = {
    ("Pruner", "score"): SCORES.names,
    ("Pruner", "allocation"): allocation_names,
    ("Dataset", "kind"): KINDS.names,
}


def settings_from(
    args: argparse.Namespace,
    settings: type[Settings],
    without: tuple[str, ...] = (),
    **fixed: Any,
) -> Settings:
    """The settings that were given, checked; what was not given has its default.

    Args:
        without: fields that the command line has no options for.
        fixed: values that a script gives itself.

    Raises:
        JackpotError: naming the option and what is wrong with it.
    """
    values = dict(fixed)
    for name, field in settings.model_fields.items():
        value = None if name in without else getattr(args, name)
        if value is not None:
            is_mapping = get_origin(field.annotation) is dict
            values[name] = dict(value) if is_mapping else value
    try:
        return settings.model_validate(values)
    except ValidationError as error:
        lines = complaints(error, lambda path: f"--{_dashed(path[0])}" if path else "")
        raise JackpotError("\n".join(lines)) from None


def parser_of(description: str) -> argparse.ArgumentParser:
    """A parser whose ``--help`` starts with a script's docstring."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


class _Restrict(argparse.Action):
    """Acts when it is read, before anything imports torch; there is nothing to keep."""

    def __call__(self, parser, namespace, value, option=None):
        restrict(value)


def add_arithmetic(parser: argparse.ArgumentParser) -> None:
    """Which instructions may be used."""
    parser.add_argument(
        "--arithmetic",
        choices=get_args(Arithmetic),
        action=_Restrict,
        dest=argparse.SUPPRESS,
        help="portable: the same bits on every x86-64 processor with AVX2 (default: native)",
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Where to compute, and what today's settings and code would make."""
    device = Environment.read().device
    parser.add_argument("--device", choices=get_args(Device), default=device)
    parser.add_argument("--threads", type=whole(1), default=1, help="CPU threads (default: 1)")
    add_arithmetic(parser)
    parser.add_argument("--fingerprint", default="", help="given by Snakemake, stored in outputs")


def add_training(parser: argparse.ArgumentParser) -> None:
    """What pretrain.py and retrain.py share: the cell, Training, and resume files."""
    cell = parser.add_argument_group("cell", "which run this is, for its metrics.json")
    for name, default in (("study", "by-hand"), ("dataset", ""), ("model", ""), ("ticket", "")):
        cell.add_argument(f"--{name}", default=default)
    cell.add_argument("--check", default="none", help=f"{', '.join(CHECKS)}, or several: a+b")
    cell.add_argument("--sparsity", type=float, help="(default: that of the mask, or 0)")
    cell.add_argument("--seed", type=int, default=0)
    add_settings(parser, Training)
    add_machine(parser)
    add_resume(parser)
    parser.add_argument(
        "--tensorboard",
        action=argparse.BooleanOptionalAction,
        default=bool(Environment.read().tensorboard),
        help="write event files to <out>/tensorboard",
    )


def whole(least: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number of at least ``least``."""

    def number(text: str) -> int:
        try:
            if (value := int(text)) >= least:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of {least} or more")

    return number


def add_mapping(parser, option: str, meaning: str) -> None:
    """An option that takes ``KEY=VALUE`` words, of which ``dict`` makes a mapping."""
    parser.add_argument(
        option, nargs="*", type=_key_value, metavar="KEY=VALUE", default=(), help=meaning
    )


def add_check(parser: argparse.ArgumentParser) -> None:
    """Where a check is that is not built in, and its options."""
    group = parser.add_argument_group("check", "what the check is and how it edits")
    add_mapping(group, "--own-checks", "checks of your own in --check, as NAME=FILE.py:FUNCTION")
    scopes = {scope: None for check in CHECKS.values() for scope in check.scopes}
    group.add_argument("--scope", help=f"the check's variant: {', '.join(scopes)}")
    add_mapping(group, "--check-options", "further options of the check")


def check_of(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Check:
    """The check that a command line names; ends with a message if there is none."""
    try:
        return find_check(args.check, dict(args.own_checks))
    except ValueError as error:
        parser.error(f"argument --check: {error}")


def options_of_check(args: argparse.Namespace) -> dict[str, Any]:
    """The check's options that a command line gives."""
    scope = {} if args.scope is None else {"scope": args.scope}
    return {**dict(args.check_options), **scope}


def add_resume(parser: argparse.ArgumentParser) -> None:
    """Where a training is saved, and how often."""
    resume = parser.add_argument_group("resume")
    resume.add_argument("--resume-file", help="save here, and go on from here")
    handed = Environment.read()
    minutes, epochs = handed.resume_minutes, handed.resume_epochs or None
    resume.add_argument(
        "--resume-minutes", type=float, default=minutes, help=f"(default: {minutes:g})"
    )
    resume.add_argument(
        "--resume-epochs", type=whole(1), default=epochs, help="save every so many epochs as well"
    )


def _dashed(name: str) -> str:
    return str(name).replace("_", "-")


def command_options(values: dict[str, Any]) -> str:
    """``{"batch_size": 64, "flip": False}`` -> ``--batch-size 64 --no-flip``, shell-quoted.

    None leaves an option out; a list is given as several words, a mapping as ``key=value`` words.
    """
    words: list[str] = []
    for name, value in values.items():
        option = _dashed(name)
        if value is None:
            continue
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        elif isinstance(value, dict):
            if value:
                words += [f"--{option}", *(f"{k}={_word(v)}" for k, v in value.items())]
        elif isinstance(value, str) or not isinstance(value, Iterable):
            words += [f"--{option}", str(value)]
        else:
            words += [f"--{option}", *(str(item) for item in value)]
    return shlex.join(words)


def main(function: Callable[[], None]) -> None:
    """Run a script's function; a problem that the user can fix ends as its message alone."""
    try:
        function()
    except JackpotError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("stopped by Ctrl-C")
    except Exception as error:
        if told := own_traceback(error):
            sys.exit(f"error: your own code failed: {type(error).__name__}: {error}\n{told}")
        if isinstance(error, OSError) and error.filename is not None:
            sys.exit(f"error: {error.filename}: {error.strerror}")
        if isinstance(error, BrokenPipeError) and _reader_has_gone():
            sys.exit(128 + signal.SIGPIPE)
        raise
    finally:
        _reader_has_gone()


def _reader_has_gone() -> bool:
    """Whether nobody reads what is printed, as of `head`; what is left then goes nowhere."""
    try:
        output = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):
        return False  # it is closed, or no file
    asked = select.poll()
    asked.register(output, 0)
    gone = any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))
    if gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return gone


def _plain(annotation: Any) -> tuple[Any, bool]:
    """The type inside ``X | None``, ``Annotated[X, ...]`` or ``tuple[X, ...]``; whether many."""
    origin = get_origin(annotation)
    if hasattr(annotation, "__metadata__"):
        return _plain(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return _plain(next(a for a in get_args(annotation) if a is not type(None)))
    if origin in (tuple, list):
        return _plain(get_args(annotation)[0])[0], True
    return annotation, False


def _key_value(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, _value(value)
    except Exception as error:
        raise argparse.ArgumentTypeError(
            f"{text!r}: the value is neither JSON nor YAML; if it is a text, put it in double "
            "quotes of its own"
        ) from error


def _value(text: str) -> Any:
    """As JSON, which knows 1e-05 for a number, or else as YAML, which needs no quotes."""
    import yaml

    try:
        return json.loads(text)
    except ValueError:
        return yaml.safe_load(text)


def _word(value: Any) -> str:
    """A value as ``_value`` reads it."""
    text = str(value)
    try:
        plain = _value(text)
    except Exception:
        plain = None
    return text if plain == value and type(plain) is type(value) else json.dumps(value)
