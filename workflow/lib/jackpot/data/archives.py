"""Files inside a directory, a tar or a zip, read in place: nothing is ever extracted to disk."""

import bz2
import contextlib
import gzip
import itertools
import lzma
import os
import posixpath
import re
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn

from jackpot.errors import JackpotError

_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    # A zip with a password or a compression method that Python lacks.
    RuntimeError,
)


@dataclass(frozen=True)
class Limits:
    """What an archive may hold; beyond it, it is taken for a decompression bomb.

    Attributes:
        members: files and folders.
        total_bytes, member_bytes: uncompressed, in all and in one file.
    """

    members: int = 2_000_000
    total_bytes: int = 64 * 2**30
    member_bytes: int = 2**30


@dataclass(frozen=True)
class Member:
    """One file: its ``/``-separated name, its size in bytes, and how to read it.

    ``read`` must be called before the next member is asked for: archives are read as a stream.
    """

    name: str
    size: int
    read: Callable[[], bytes]


def members(path: str | Path, limits: Limits | None = None) -> Iterator[Member]:
    """Every file in a directory (sorted, hidden files left out) or archive (in its own order).

    Archives are tar, tar.gz, tar.bz2, tar.xz or zip, told apart by their first bytes.

    Raises:
        JackpotError: the archive is truncated or corrupt; a member's path or link leads outside
            it; a member is a device; or a limit is passed.
    """
    path, limits = Path(path), limits or Limits()
    if path.is_dir():
        return _bounded(path, _in_directory(path, limits), limits)
    with _naming(path), open(path, "rb") as file:
        start = file.read(6)
    inside = _in_zip(path) if start.startswith(b"PK") else _in_tar(path, start, limits)
    return _bounded(path, inside, limits)


def _bounded(path: Path, found: Iterator[Member | None], limits: Limits) -> Iterator[Member]:
    """Count what ``found`` yields (None: a folder) against the limits, and yield the files."""
    total = 0
    for count, member in enumerate(found, start=1):
        if count > limits.members:
            raise JackpotError(f"{path}: holds more than {limits.members:,} files and folders.")
        if member is None:
            continue
        if member.size > limits.member_bytes:
            raise JackpotError(
                f"{path}: {member.name} has {member.size:,} bytes; "
                f"{limits.member_bytes:,} are allowed in one file."
            )
        total += member.size
        if total > limits.total_bytes:
            raise _too_much(path, limits)
        yield member


def _too_much(path: Path, limits: Limits) -> JackpotError:
    return JackpotError(f"{path}: unpacks to more than {limits.total_bytes:,} bytes.")


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn what broken archives raise into an error that names the archive."""
    try:
        yield
    except _DAMAGE as error:
        raise JackpotError(
            f"{path}: cannot be read: missing, truncated, corrupt, or not a tar or zip archive "
            f"({error}). Fetch or pack it again."
        ) from error


def _in_directory(root: Path, limits: Limits) -> Iterator[Member]:
    # One more than allowed is enough for the count to be refused, and ends a loop of links.
    names = sorted(itertools.islice(_names(root), limits.members + 1))
    for name in names:
        yield _file_member(name, root / name)


def _names(root: Path) -> Iterator[str]:
    # Links are followed here, unlike in archives: the directory is the user's own.
    for folder, subfolders, files in os.walk(root, onerror=_unreadable, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                yield Path(folder, name).relative_to(root).as_posix()


def _file_member(name: str, file: Path) -> Member:
    def read() -> bytes:
        try:
            return file.read_bytes()
        except OSError as error:
            _unreadable(error)

    try:
        return Member(name, file.stat().st_size, read)
    except OSError as error:
        _unreadable(error)


def _unreadable(error: OSError) -> NoReturn:
    raise JackpotError(f"{error.filename}: cannot be read ({error.strerror}).") from error


class _StrictTarInfo(tarfile.TarInfo):
    """``tarfile`` takes a broken header after the first for the end; here it is an error."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"{error} at byte {tar.offset:,}") from error


def _in_tar(path: Path, start: bytes, limits: Limits) -> Iterator[Member | None]:
    with _naming(path), contextlib.ExitStack() as stack:
        # Opened here and not by "r|xz" and its like, which do not notice a truncated stream.
        plain = stack.enter_context(_decompressed(path, start))
        tar = stack.enter_context(tarfile.open(fileobj=plain, mode="r|", tarinfo=_StrictTarInfo))
        while (info := tar.next()) is not None:
            tar.members.clear()  # it would keep every header of a million files
            yield _tar_member(path, tar, info)
        _drain(path, plain, limits)


def _decompressed(path: Path, start: bytes) -> IO[bytes]:
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if start.startswith(b"BZh"):
        return bz2.open(path)
    if start == b"\xfd7zXZ\x00":
        return lzma.open(path)
    return open(path, "rb")


def _drain(path: Path, plain: IO[bytes], limits: Limits) -> None:
    """Read to the end, where the compressed stream has its checksum."""
    total = 0
    while block := plain.read(2**20):
        total += len(block)
        if total > limits.total_bytes:
            raise _too_much(path, limits)


def _tar_member(path: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member | None:
    name = _safe_name(path, info.name)
    if info.isdir():
        return None
    if info.issym() or info.islnk():
        base = posixpath.dirname(name) if info.issym() else ""
        return _link(path, name, base, info.linkname)
    if not info.isfile():
        raise _special(path, name)

    def read() -> bytes:
        with _naming(path):
            return tar.extractfile(info).read()

    return Member(name, info.size, read)


def _in_zip(path: Path) -> Iterator[Member | None]:
    with _naming(path), zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            yield _zip_member(path, archive, info)


def _zip_member(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member | None:
    name = _safe_name(path, info.filename)
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        target = archive.read(info).decode(errors="replace")
        return _link(path, name, posixpath.dirname(name), target)
    if info.is_dir():
        return None
    if kind not in (0, stat.S_IFREG):
        raise _special(path, name)

    def read() -> bytes:
        with _naming(path):
            return archive.read(info)

    return Member(name, info.file_size, read)


def _safe_name(path: Path, name: str) -> str:
    """``name`` without ``./``; a path that leads outside the archive is an error."""
    absolute = name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name)
    if absolute or "\0" in name or ".." in re.split(r"[/\\]", name):
        raise JackpotError(
            f"{path}: refused, because its member {name!r} leads outside the archive."
        )
    return PurePosixPath(name).as_posix()


def _link(path: Path, name: str, base: str, target: str) -> Member:
    """A link stands in the list, so that a stray one does no harm, but it cannot be read."""
    joined = posixpath.normpath(posixpath.join(base, target.replace("\\", "/")))
    if joined.startswith(("/", "..")) or re.match("[A-Za-z]:", target):
        raise JackpotError(
            f"{path}: refused, because its member {name!r} is a link to {target!r}, "
            "outside the archive."
        )

    def read() -> bytes:
        raise JackpotError(
            f"{path}: {name} is a link to {target!r}, and links in archives are not followed. "
            "Pack the files themselves (tar --dereference)."
        )

    return Member(name, 0, read)


def _special(path: Path, name: str) -> JackpotError:
    return JackpotError(f"{path}: refused, because its member {name!r} is a device or a pipe.")
