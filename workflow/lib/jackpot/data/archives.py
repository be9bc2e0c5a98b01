"""Archives unpacked into a scratch folder for as long as they are read, and folders as they are.

Everything an archive could do beside giving its files is refused: paths and links that lead
outside, devices, and more files or bytes than any dataset has.
"""

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
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
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
_LONGEST_LINK = 4096  # bytes of a path, on every system we know


@dataclass(frozen=True)
class Limits:
    """What an archive may hold; beyond it, it is taken for a decompression bomb.

    Attributes:
        members: files, folders and links.
        total_bytes, member_bytes: uncompressed, in all and in one file.
    """

    members: int = 2_000_000
    total_bytes: int = 64 * 2**30
    member_bytes: int = 2**30


@contextlib.contextmanager
def unpacked(path: str | Path, limits: Limits | None = None) -> Iterator[Path]:
    """The folder itself, or one with an archive's files that is gone when the block ends.

    Archives are tar, tar.gz, tar.bz2, tar.xz or zip, told apart by their first bytes. The scratch
    folder is where Python puts them: in ``TMPDIR`` if that is set.

    Raises:
        JackpotError: the archive is truncated or corrupt, or holds a name twice; a member's path
            or link leads outside it; a member is a device; a limit is passed; or the scratch
            folder has no room.
    """
    path = Path(path)
    if path.is_dir():
        yield path
        return
    with _named(path), open(path, "rb") as file:
        start = file.read(6)
    with _writing(path):
        scratch = tempfile.TemporaryDirectory(prefix="jackpot-")
    with scratch as folder:
        _Unpacking(path, Path(folder), limits or Limits()).run(start)
        yield Path(folder)


def files(root: Path, limits: Limits | None = None) -> Iterator[tuple[str, Path]]:
    """``(/-separated name, file)`` of every file in a folder, sorted, hidden ones left out."""
    allowed = (limits or Limits()).members
    # One more than allowed is enough to refuse, and ends a loop of links.
    names = sorted(itertools.islice(_names(root), allowed + 1))
    if len(names) > allowed:
        raise JackpotError(f"{root}: holds more than {allowed:,} files.")
    return ((name, root / name) for name in names)


def _names(root: Path) -> Iterator[str]:
    # Links are followed: the folder is the user's own, or one in which we made them.
    for folder, subfolders, names in os.walk(root, onerror=_unreadable, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            if not name.startswith("."):
                yield Path(folder, name).relative_to(root).as_posix()


def _unreadable(error: OSError) -> NoReturn:
    raise JackpotError(f"{error.filename}: cannot be read ({error.strerror}).") from error


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn what broken archives raise into an error that names the archive."""
    try:
        yield
    except _DAMAGE as error:
        raise JackpotError(
            f"{path}: cannot be read: missing, truncated, corrupt, or not a tar or zip archive "
            f"({error}). Fetch or pack it again."
        ) from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn errors of the scratch folder's disk into one that says where it is."""
    try:
        yield
    except OSError as error:
        raise JackpotError(
            f"{path}: could not be unpacked in {error.filename or tempfile.gettempdir()} "
            f"({error.strerror or error}). Free space there, or set TMPDIR to another folder."
        ) from error


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


@dataclass
class _Unpacking:
    """One archive on its way into a scratch folder.

    ``extractall`` is not enough: it has no limits, and several Python releases have holes in
    ``tarfile``'s ``data`` filter, which lets it write through the links that it makes.
    """

    path: Path
    root: Path
    limits: Limits
    count: int = 0
    total: int = 0
    links: dict[str, str] = field(default_factory=dict)

    def run(self, start: bytes) -> None:
        """Unpack the archive, whose first bytes are ``start``."""
        with _named(self.path):
            if start.startswith(b"PK"):
                self._zip()
            else:
                self._tar(start)
        # Last, so that nothing is written through one; and to files only, so that none is a loop.
        for name, target in self.links.items():
            if not (self.root / target).is_dir():
                with self._new(name) as link:
                    link.symlink_to(self.root / target)

    def _tar(self, start: bytes) -> None:
        # Opened here and not by "r|xz" and its like, which do not notice a truncated stream.
        with (
            _decompressed(self.path, start) as plain,
            tarfile.open(fileobj=plain, mode="r|", tarinfo=_StrictTarInfo) as tar,
        ):
            while (info := tar.next()) is not None:
                tar.members.clear()  # it would keep every header of a million files
                name = self._admitted(info.name, info.size if info.isfile() else 0)
                if info.issym() or info.islnk():
                    folder = posixpath.dirname(name) if info.issym() else ""
                    self._note_link(name, folder, info.linkname)
                elif info.isfile():
                    self._write(name, tar.extractfile(info).read())
                elif not info.isdir():
                    raise self._refused(f"its member {name!r} is a device or a pipe")
            self._read_to_end(plain)

    def _read_to_end(self, plain: IO[bytes]) -> None:
        """A compressed stream has its checksum at its end, after what tar itself reads."""
        total = 0
        while block := plain.read(2**20):
            total += len(block)
            if total > self.limits.total_bytes:
                raise self._too_much()

    def _zip(self) -> None:
        with zipfile.ZipFile(self.path) as archive:
            for info in archive.infolist():
                name = self._admitted(info.filename, info.file_size)
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind == stat.S_IFLNK:
                    if info.file_size > _LONGEST_LINK:
                        raise self._refused(f"its link {name!r} has {info.file_size:,} bytes")
                    target = archive.read(info).decode(errors="replace")
                    self._note_link(name, posixpath.dirname(name), target)
                elif info.is_dir():
                    continue
                elif kind in (0, stat.S_IFREG):
                    self._write(name, archive.read(info))
                else:
                    raise self._refused(f"its member {name!r} is a device or a pipe")

    def _admitted(self, name: str, size: int) -> str:
        """``name`` without ``./``, once it and its size are found harmless."""
        limits = self.limits
        self.count += 1
        self.total += size
        if self.count > limits.members:
            raise JackpotError(f"{self.path}: holds more than {limits.members:,} files.")
        if size > limits.member_bytes:
            raise JackpotError(
                f"{self.path}: {name} has {size:,} bytes; "
                f"{limits.member_bytes:,} are allowed in one file."
            )
        if self.total > limits.total_bytes:
            raise self._too_much()
        absolute = name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name)
        if absolute or "\0" in name or ".." in re.split(r"[/\\]", name):
            raise self._refused(f"its member {name!r} leads outside the archive")
        return PurePosixPath(name).as_posix()

    def _note_link(self, name: str, folder: str, target: str) -> None:
        inside = posixpath.normpath(posixpath.join(folder, target.replace("\\", "/")))
        if inside.startswith(("/", "..")) or "\0" in target or re.match("[A-Za-z]:", target):
            raise self._refused(f"its member {name!r} is a link to {target!r}, outside the archive")
        self.links[name] = inside

    def _write(self, name: str, contents: bytes) -> None:
        with self._new(name) as target, open(target, "xb") as file:
            file.write(contents)

    @contextlib.contextmanager
    def _new(self, name: str) -> Iterator[Path]:
        target = self.root / name
        with _writing(self.path):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield target
            except FileExistsError:
                raise JackpotError(f"{self.path}: holds {name} twice. Pack it again.") from None

    def _too_much(self) -> JackpotError:
        return JackpotError(f"{self.path}: unpacks to more than {self.limits.total_bytes:,} bytes.")

    def _refused(self, why: str) -> JackpotError:
        return JackpotError(f"{self.path}: refused, because {why}.")


def _decompressed(path: Path, start: bytes) -> IO[bytes]:
    if start.startswith(b"\x1f\x8b"):
        return gzip.open(path)
    if start.startswith(b"BZh"):
        return bz2.open(path)
    if start == b"\xfd7zXZ\x00":
        return lzma.open(path)
    return open(path, "rb")
