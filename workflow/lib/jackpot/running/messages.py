"""What Snakemake prints of this workflow's jobs, made short: why they run, and why they failed."""

import ast
import logging
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from jackpot.fingerprints import differences, recorded

# What is to be made again though Snakemake has noted nothing of it -> which of it has changed.
_UNNOTICED: dict[str, list[str]] = {}
_FORCED = "Forced execution"
# How Python tells of a command that failed.
_COMMAND = re.compile("Command '.*'(?= (returned non-zero exit status|died with))", re.DOTALL)
_PARAMETERS = re.compile("Params have changed.*? before: (.*) now: (.*)", re.DOTALL)
_FINGERPRINT = re.compile("[0-9a-f]{12}(-[0-9a-f]{12}){2}")
# What begins a line that says what is wrong, ours or Python's.
_WRONG = re.compile(r"error: |(\w+\.)*\w*(Error|Exception|Interrupt)\b")
_CLUSTER_JOB = re.compile("SLURM-job '[^']*'")
# Of failed jobs that say the same, and of different things that they say.
JOBS_SHOWN, REASONS_SHOWN = 3, 8
# Snakemake then says that a job did not complete, as if one had failed.
STOPPED = "Stopped before the end. Nothing is lost: the same command goes on from here."


def shorten_messages() -> None:
    """Have Snakemake print what changed, and of a failed job no command of a thousand letters."""
    if not any(isinstance(present, _Shorten) for present in logger.filters):
        logger.addFilter(_Shorten())


class _Shorten(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        event = getattr(record, "event", None)
        if event == LogEvent.JOB_ERROR:
            record.shellcmd, record.input, record.output = None, [], []
        elif event == LogEvent.JOB_INFO and getattr(record, "reason", None):
            reason = str(record.reason)
            record.reason, what = short_reason(reason), what_changed(reason)
            if reason == _FORCED and (unnoticed := _unnoticed(record.output)):
                record.reason, what = _changed(unnoticed), unnoticed
            # The reason has a line of its own, which the profiles leave out: mostly it says that
            # the job's file is not there yet.
            if record.rule_msg and what:
                record.rule_msg += f" (changed: {', '.join(what)})"
        elif record.levelno >= logging.ERROR and isinstance(record.msg, str):
            record.msg = _COMMAND.sub("The command", record.msg)
        return True


def say_what_changed(paths: Iterable[str], today: str) -> None:
    """Have the reason for making files again say what tells them from what today's would be.

    Args:
        today: the fingerprint that they would have.
    """
    for path in paths:
        before = recorded(path) or ""
        # Of tables one digest is noted, which tells nothing apart.
        if _FINGERPRINT.fullmatch(before):
            _UNNOTICED[path] = differences(before, today)


def _unnoticed(outputs: Iterable[str] | None) -> list[str]:
    return next((_UNNOTICED[path] for path in map(str, outputs or []) if path in _UNNOTICED), [])


def short_reason(reason: str) -> str:
    """Snakemake's reason for a job, with the settings that changed in place of all parameters."""
    found = _PARAMETERS.search(reason)
    if not found:
        return reason
    return f"{reason[: found.start()]}{_changed(what_changed(reason) or ['settings'])}"


def _changed(what: Iterable[str]) -> str:
    return f"changed since it was made: {', '.join(what)}"


def what_changed(reason: str) -> list[str]:
    """The settings that Snakemake's reason for a job says have changed, and what else has."""
    found = _PARAMETERS.search(reason)
    if not found:
        return []
    before, now = map(_parameters, found.groups())
    names = list({**before.options, **now.options})
    changes = [
        f"{name.replace('-', '_')} {one} -> {other}"
        for name in names
        if (one := before.options.get(name, "(none)")) != (other := now.options.get(name, "(none)"))
    ]
    # What the settings were is said by then.
    told = ["settings"] if changes else []
    if before.fingerprint and now.fingerprint:
        kinds = differences(before.fingerprint, now.fingerprint)
        changes += [kind for kind in kinds if kind not in told]
    return changes


class _Parameters(NamedTuple):
    options: dict[str, str]
    fingerprint: str


def _parameters(text: str) -> _Parameters:
    """A rule's parameters as Snakemake prints them: Python literals with commas in between."""
    try:
        items = [item for item in ast.literal_eval(f"[{text.strip()}]") if isinstance(item, str)]
    except (ValueError, SyntaxError):
        items = []
    options: dict[str, str] = {}
    name = ""
    for word in shlex.split(next((item for item in items if item.startswith("--")), "")):
        if word.startswith("--"):
            name = word[2:].removeprefix("no-")
            options[name] = "false" if word.startswith("--no-") else "true"
        else:
            options[name] = word if options[name] == "true" else f"{options[name]} {word}"
    return _Parameters(options, next(filter(_FINGERPRINT.fullmatch, items), ""))


def summary(failed: Iterable[tuple[str, str, str]], stopped: bool = False) -> str:
    """What failed, why, and what to do, at the end of a call.

    Args:
        failed: what each job was to do, its log, and what a cluster says of it.
        stopped: whether the call was told to end before it had made everything.
    """
    alike: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for what, log, why in failed:
        # The number of a cluster's job is its own.
        alike.setdefault((_CLUSTER_JOB.sub("", why), useful_line(log)), []).append((what, log, why))
    if not alike:
        return STOPPED if stopped else ""
    lines = []
    for (_, said), jobs in list(alike.items())[:REASONS_SHOWN]:
        for number, (what, log, why) in enumerate(jobs[:JOBS_SHOWN]):
            told = [why, said] if number == 0 else []
            told += [f"log: {log}"] if log else []
            lines += [f"- {what}", *(f"    {line}" for line in told if line)]
        if (more := len(jobs) - JOBS_SHOWN) > 0:
            lines.append(f"- and {more} more, which say the same")
    if len(alike) > REASONS_SHOWN:
        others = sum(map(len, list(alike.values())[REASONS_SHOWN:]))
        lines.append(f"- and {others} more, which say something else; their logs are beside these")
    return "\n".join(
        [
            "What failed:",
            *lines,
            "Everything else that could be made is kept. Fix the cause and start the same command "
            "again: only what is missing is made.",
        ]
    )


def useful_line(log: str | Path) -> str:
    """The line of a job's log that says what is wrong.

    The last one that begins with ``error:``, as our scripts' do, or with an exception's name;
    otherwise the last of all. Advice may follow either.
    """
    return next(filter(_WRONG.match, reversed(_lines(log))), last_line(log))


def last_line(log: str | Path) -> str:
    """The last line of a job's log, in which a job that ended well says what it made."""
    return next(reversed(_lines(log)), "")


def _lines(log: str | Path) -> list[str]:
    try:
        text = Path(log).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.split("\n") if line.strip()]
