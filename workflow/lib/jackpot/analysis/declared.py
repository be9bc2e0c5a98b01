"""What a study declared, then and now.

A module of its own: what collects results must not hang on the words and figures of the page.
"""

from collections.abc import Mapping
from typing import Any


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of two declarations differs; an older version may have said less.

    Of settings, which are told by cell, and code, by file, what both have.
    """
    found = []
    for name in now:
        if name in before and name != "since":
            one, other = before[name], now[name]
            if isinstance(one, Mapping) and isinstance(other, Mapping):
                one, other = ({key: d[key] for key in one.keys() & other} for d in (one, other))
            if one != other:
                found.append(name)
    return found
