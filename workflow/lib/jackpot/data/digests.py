"""Digests of files and directories, written ``sha256:<hex>`` or ``md5:<hex>``."""

import hashlib
import re
from pathlib import Path

from jackpot.data import archives
from jackpot.errors import JackpotError

_LENGTHS = {"sha256": 64, "md5": 32}


def checked(digest: str) -> str:
    """``digest`` in lower case, or an error that says how one is written."""
    algorithm, _, value = digest.strip().lower().partition(":")
    length = _LENGTHS.get(algorithm)
    if length is None or not re.fullmatch(f"[0-9a-f]{{{length}}}", value):
        raise JackpotError(
            f"digest {digest!r}: write sha256 as 64 and md5 as 32 hexadecimal digits."
        )
    return f"{algorithm}:{value}"


def of_path(path: Path, algorithm: str = "sha256") -> tuple[str, int]:
    """``(digest, bytes)`` of a file, or of a directory's files by name, size and contents.

    Hidden files in a directory do not count: they are not read either, and file managers rewrite
    them.

    Raises:
        JackpotError: nothing there, or it cannot be read.
    """
    try:
        if path.is_dir():
            return _of_directory(path, algorithm)
        value, size = _of_file(path, algorithm)
        return f"{algorithm}:{value}", size
    except OSError as error:
        raise JackpotError(
            f"{error.filename or path}: cannot be read ({error.strerror or error})."
        ) from error


def _of_file(path: Path, algorithm: str) -> tuple[str, int]:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest(), file.tell()


def _of_directory(path: Path, algorithm: str) -> tuple[str, int]:
    digest, total = hashlib.new(algorithm), 0
    for name, member in archives.files(path):
        contents, size = _of_file(member, algorithm)
        digest.update(f"{name}\0{size}\0{contents}\n".encode())
        total += size
    return f"{algorithm}:{digest.hexdigest()}", total
