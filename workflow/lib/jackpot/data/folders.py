"""What a dataset is read from where it lies, and whether it has changed since.

Imports nothing heavy: a study is asked about before any job.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from jackpot.data import archives, digests
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
        f"Then set `version: 2` (or the next number, if it has one) in datasets.{dataset} of the "
        "study, and what was made from it is made again. Otherwise put the old files back."
    )


def refuse_changed(source_json: str | Path) -> None:
    """Ask whether a changed folder or archive is meant, before any job.

    Names and sizes are compared at each call, contents where a file is newer than the record.

    Args:
        source_json: what ``sources.fetch`` wrote; nothing is asked where it is not there.

    Raises:
        JackpotError: files were added, removed, or have other contents.
    """
    record_file = Path(source_json)
    try:
        record = json.loads(record_file.read_text(encoding="utf-8"))
        source, before, digest, size = (record[k] for k in ("path", "files", "digest", "bytes"))
        source = (record_file.parent / source).resolve()
        known_at = record_file.stat().st_mtime_ns
    except (OSError, ValueError, KeyError, TypeError):
        return  # no source, or a damaged record, which is told of when it is needed
    if not source.exists():
        return
    files = [file for _, file in archives.files(source)] if source.is_dir() else [source]
    newer = any(file.stat().st_mtime_ns > known_at for file in files)
    algorithm = digest.partition(":")[0]
    other = listing(source) != before or sum(file.stat().st_size for file in files) != size
    if other or (newer and digests.of_path(source, algorithm)[0] != digest):
        raise JackpotError(changed(record["dataset"], source))
    if newer:
        # They were compared; not at every call again.
        with contextlib.suppress(OSError):
            os.utime(record_file)
