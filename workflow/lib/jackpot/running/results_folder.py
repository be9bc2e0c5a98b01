"""A study's folder of results before jobs start: can it be written to, and is it ours alone?"""

import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path

from jackpot.errors import JackpotError
from jackpot.files.locks import LockHeld, SignedLock

# Enough for the tables and the page; how much a study's weights need cannot be told beforehand.
SPACE = 4 * 2**20
# Names the open lock of a process that becomes the next Snakemake call.
HANDED_ON = "JACKPOT_STUDY_LOCK"

# Held until the process ends, by the folder's path: the kernel lets go with the last reference.
_held: dict[str, SignedLock] = {}


def require_space(folder: str | Path) -> None:
    """Write and flush ``SPACE`` bytes in a folder, or in the parent it will be made in.

    Raises:
        JackpotError: the folder is read-only, or its disk is full.
    """
    existing = Path(folder).absolute()
    while not existing.exists():
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(bytes(SPACE))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise JackpotError(
            f"{folder}: cannot be written to ({error.strerror or error}). Free space, fix the "
            "permissions, or give another folder with --config results_dir=... Nothing was started."
        ) from None


def correct_future_dates(*folders: str | Path) -> None:
    """Give what is dated in the future, by a clock that was wrong, the time of now.

    Snakemake deletes what a job has just made if it is older than what it is made from.
    """
    now = time.time()
    for folder in folders:
        for file in Path(folder).rglob("*"):
            # What is removed meanwhile, or another user's, stays as it is.
            with contextlib.suppress(OSError):
                if file.lstat().st_mtime > now:
                    os.utime(file, (now, now), follow_symlinks=False)


def hold(folder: str | Path) -> None:
    """Keep every other Snakemake, of this clone or another, out until this process ends.

    Raises:
        JackpotError: another one is at work there.
    """
    _adopt(folder)
    if str(folder) in _held:
        return
    lock = _lock_of(folder)
    for attempt in range(3):
        try:
            lock.acquire()
        except LockHeld as holder:
            # One that only looks, as a dry run does, has it for a moment too.
            if attempt == 2:
                raise JackpotError(_at_work(folder, str(holder))) from None
            time.sleep(0.1)
        except OSError as error:
            # A file system without locks, or another user's file.
            print(
                f"warning: {lock.path}: cannot be locked ({error.strerror or error}). Make sure "
                "that no other Snakemake works on this study.",
                file=sys.stderr,
            )
            return
        else:
            _held[str(folder)] = lock
            return


def hand_on() -> None:
    """Keep the lock over an ``exec`` of this process; the next program's ``hold`` adopts it."""
    for lock in _held.values():
        os.set_inheritable(lock.descriptor, True)
        os.environ[HANDED_ON] = str(lock.descriptor)


def release(folder: str | Path) -> None:
    """Let others in."""
    if lock := _held.pop(str(folder), None):
        lock.release()


def at_work(folder: str | Path) -> str | None:
    """The sentence on another Snakemake that is at work there, or None. Changes nothing."""
    _adopt(folder)
    holder = None if str(folder) in _held else _lock_of(folder).holder()
    return _at_work(folder, holder) if holder else None


def _adopt(folder: str | Path) -> None:
    descriptor = os.environ.pop(HANDED_ON, "")
    lock = _lock_of(folder)
    if descriptor.isdecimal() and lock.adopt(int(descriptor)):
        _held[str(folder)] = lock


def _lock_of(folder: str | Path) -> SignedLock:
    return SignedLock(Path(folder) / ".lock")


def _at_work(folder: str | Path, holder: str) -> str:
    return (
        f"{folder}: another Snakemake is at work here ({holder}). Wait for it to end, or give "
        "another folder with --config results_dir=... Nothing was started."
    )
