"""Folders that a dataset is read from where they lie, and whether they have changed since.

Imports nothing heavy: a study is asked about before any job.
"""

import hashlib
import json
from pathlib import Path

from jackpot.data import archives
from jackpot.errors import JackpotError


def listing(path: Path) -> str | None:
    """Digest of the names and sizes of a folder's files, quick to take; None for an archive."""
    if not path.is_dir():
        return None
    digest = hashlib.sha256()
    for name, file in archives.files(path):
        digest.update(f"{name}\0{file.stat().st_size}\n".encode())
    return digest.hexdigest()


def local_source(dataset: str, place: str) -> Path:
    """The path of a dataset's local archive or folder.

    Raises:
        JackpotError: there is nothing.
    """
    path = Path(place).expanduser()
    if not path.exists():
        raise JackpotError(f"dataset {dataset}: {path} does not exist. Fix its `path`.")
    return path


def changed(dataset: str, source: Path) -> str:
    """The question about a source that is no longer what results were made from."""
    return (
        f"dataset {dataset}: {source} has changed since it was first read. Is it to be read anew? "
        f"Then set `version: 2` (or another number than before) in datasets.{dataset} of the "
        "study, and what was made from it is made again. Otherwise put the old files back."
    )


def refuse_changed_folder(source_json: str | Path) -> None:
    """Ask whether a changed folder is meant, before any job; contents are compared when read.

    Args:
        source_json: what ``sources.fetch`` wrote; nothing is asked where it is not there.

    Raises:
        JackpotError: files of the folder were added, removed, or have another size.
    """
    try:
        record = json.loads(Path(source_json).read_text(encoding="utf-8"))
        source, before = Path(source_json).parent / record["path"], record["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # no folder, or a damaged record, which is told of when it is needed
    if before and source.is_dir() and listing(source) != before:
        raise JackpotError(changed(record["dataset"], source))
