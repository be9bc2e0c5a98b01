"""The results directory before jobs start: can it be written, and is it ours alone?"""

import contextlib
import fcntl
import os
import socket
import tempfile
from pathlib import Path
from typing import IO

from jackpot.errors import JackpotError

# Enough for the tables and the page; how much a study's weights need cannot be told beforehand.
ROOM = 4 * 2**20


def require_room(folder: str | Path) -> None:
    """Write and flush ``ROOM`` bytes in a folder, or in the parent it will be made in.

    Raises:
        JackpotError: the folder is read-only, or its disk is full.
    """
    place = Path(folder).absolute()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JackpotError(
            f"{folder}: cannot be written to ({error.strerror or error}). Free space, mend the "
            "permissions, or give another place with --config results_dir=... Nothing was started."
        ) from None


def hold(root: str | Path) -> IO[str]:
    """Keep every other Snakemake out of a study's results until the returned file is closed.

    The kernel lets go of it when this process ends, however it ends.

    Raises:
        JackpotError: another one, perhaps of another clone, is at work there.
    """
    path = _lock_file(root)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (the caller keeps it open)
    if not _free(file):
        holder = holder_of(file)
        file.close()
        raise JackpotError(
            f"{root}: another Snakemake is at work here ({holder}). Wait for it to end, or give "
            "another place with --config results_dir=... Nothing was started."
        )
    sign(file)
    return file


def forget_stale_locks(root: str | Path, locks: str | Path = ".snakemake/locks") -> None:
    """Remove Snakemake's own locks on a study's results if none is at work there.

    A Snakemake that was killed leaves its lock behind, which would ask for ``--unlock``.
    """
    with contextlib.suppress(OSError), open(_lock_file(root), "r+", encoding="utf-8") as file:
        # Of a Snakemake on another machine the file system may know nothing.
        if not file.read().endswith(f" on {socket.gethostname()}") or not _free(file):
            return
        for lock in Path(locks).glob("*.lock"):
            with open(lock, encoding="utf-8") as listed:
                ours = any(line.startswith(f"{root}/") for line in listed)
            if ours:
                lock.unlink(missing_ok=True)


def second_names(resume_file: str | Path) -> Path:
    """Where second names of a finished training's results are: beside its resume file."""
    return Path(resume_file).with_suffix(".finished")


def _lock_file(root: str | Path) -> Path:
    return Path(root) / ".lock"


def _free(file: IO[str]) -> bool:
    # A file system without locks: Snakemake's own lock is left.
    try:
        return claim(file)
    except OSError:
        return True


def claim(file: IO[str], *, wait: bool = False) -> bool:
    """Lock an open file for this process, if need be after its holder has let go.

    Returns:
        False if another process holds it.

    Raises:
        OSError: the file system has no locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def sign(file: IO[str]) -> None:
    """Write into a locked file who holds it."""
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}")
    file.flush()


def holder_of(file: IO[str]) -> str:
    """Who holds a locked file, as it signed."""
    file.seek(0)
    return file.read().strip() or "another process"
