"""``source-<digest>.json``: what was fetched for a dataset, and where it lies."""

from pathlib import Path
from typing import Any

from jackpot.files.atomic import damaged, read_json

_TYPES = {
    "dataset": str,
    "kind": str,
    "path": str | None,
    "digest": str | None,
    "bytes": int,
    "options": dict,
}


def read_description(source_json: str | Path) -> dict[str, Any]:
    """What ``sources.fetch`` wrote: ``dataset, kind, path, digest, bytes, options``.

    Raises:
        JackpotError: the file is missing, damaged, or describes no dataset.
    """
    found = read_json(source_json)
    if not isinstance(found, dict):
        raise damaged(source_json, "it does not describe a dataset")
    for key, type_ in _TYPES.items():
        if key not in found:
            raise damaged(source_json, f"it does not describe a dataset: {key!r} is missing")
        if not isinstance(found[key], type_):
            raise damaged(source_json, f"its {key!r} is {found[key]!r}")
    return found
