"""One process at a time on a training.

A Snakemake that is killed can leave jobs that go on without it: ordinary processes on this
machine, or jobs on a cluster. The next call starts the same training again, and both would write
the same files. So a training holds a kernel lock on a file beside its resume file; whoever comes
second waits until the first has ended, and goes on from what it left.
"""

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from jackpot.running.place import claim, holder_of, sign


@contextlib.contextmanager
def alone(resume_file: str | None) -> Iterator[None]:
    """Wait until no other process is at this training; within, any other one waits.

    The kernel lets go when the process ends, however it ends. Where the file system has no locks,
    or the file cannot be made, that is said and the training goes on without.
    """
    path = Path(resume_file).with_suffix(".lock") if resume_file else None
    lock = _wait_for(path) if path else None
    try:
        yield
    finally:
        if lock:
            with contextlib.suppress(OSError):
                path.unlink()
            # A child that still lives would hold it on: it has the file open as well.
            fcntl.flock(lock, fcntl.LOCK_UN)
            lock.close()


def _wait_for(path: Path) -> IO[str] | None:
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (the caller keeps it open)
            if not claim(file):
                _say(f"waits: {holder_of(file)} is at this training and holds {path}")
                claim(file, wait=True)
            if _is_at(path, file):
                sign(file)
                return file
            # Whoever held it removed it at the end, and a third may have made another.
            file.close()
        except OSError as error:
            _say(
                f"warning: {path}: cannot be locked ({error.strerror or error}). Training goes on; "
                "see to it that no other job of a killed Snakemake is at it."
            )
            return None


def _is_at(path: Path, file: IO[str]) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except FileNotFoundError:
        return False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
