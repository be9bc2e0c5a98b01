"""What Snakemake prints of this workflow's jobs, made short: why they run, and why they failed."""

import logging
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from jackpot.fingerprints import KINDS

_FINGERPRINT = re.compile("'([0-9a-f]{12}(?:-[0-9a-f]{12}){2})'")


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
            record.reason = short_reason(str(record.reason))
        return True


def short_reason(reason: str) -> str:
    """Snakemake's reason for a job, with the settings that changed in place of all parameters."""
    found = re.search("Params have changed.*? before: (.*?) now: (.*)", reason, re.DOTALL)
    if not found:
        return reason
    before, now = found.groups()
    one, other = _options(before), _options(now)
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    changes = [
        f"{name.replace('-', '_')} {one.get(name, '(none)')} -> {other.get(name, '(none)')}"
        for name in names
    ]
    old, new = _FINGERPRINT.search(before), _FINGERPRINT.search(now)
    if old and new:
        pairs = zip(KINDS, old[1].split("-"), new[1].split("-"), strict=True)
        changed = [kind for kind, a, b in pairs if a != b]
        # What the settings were is said above.
        changes += [kind for kind in changed if kind != "settings" or not names]
    said = ", ".join(changes) or "parameters"
    return f"{reason[: found.start()]}changed since it was made: {said}"


def _options(text: str) -> dict[str, str]:
    """The options in what Snakemake prints of parameters: ``{"epochs": "6", "flip": "false"}``."""
    found: dict[str, str] = {}
    name = None
    try:
        words = shlex.split(text.replace("'", ""))
    except ValueError:
        return {}
    for word in words:
        if word.startswith("--"):
            name = word[2:].rstrip(",").removeprefix("no-")
            found[name] = "false" if word.startswith("--no-") else "true"
        elif name and not _FINGERPRINT.fullmatch(f"'{word.strip()}'"):
            found[name] = word if found[name] in ("true", "false") else f"{found[name]} {word}"
    return found


def summary(failed: Iterable[tuple[str, str]]) -> str:
    """What failed, why, and what to do, at the end of a call.

    Args:
        failed: what each job was to do, and its log.
    """
    lines = []
    for what, log in failed:
        lines.append(f"- {what}")
        if said := last_line(log):
            lines.append(f"    {said}")
        if log:
            lines.append(f"    log: {log}")
    if not lines:
        return ""
    return "\n".join(
        [
            "What failed:",
            *lines,
            "Everything else that could be made is kept. Fix the cause and start the same command "
            "again: only what is missing is made.",
        ]
    )


def last_line(log: str | Path) -> str:
    """The last line of a job's log, which says what is wrong."""
    try:
        lines = Path(log).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")
