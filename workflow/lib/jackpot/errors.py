"""Errors meant for people: what is wrong, where, and what to do."""

import difflib
from collections.abc import Iterable


class JackpotError(Exception):
    """A problem the user can fix; shown as its message alone, without a traceback."""


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """A sentence that asks after the known name that is most like this one, or nothing."""
    close = difflib.get_close_matches(str(name), [str(each) for each in known], 1)
    return f" Did you mean {close[0]!r}?" if close else ""
