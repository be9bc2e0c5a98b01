"""One process at a time on a training.

A Snakemake that is killed can leave jobs that go on without it: ordinary processes on this
machine, or jobs on a cluster. The next call starts the same training again, and both would write
the same files. So a training holds a kernel lock on a file beside its resume file; whoever comes
second waits until the first has ended, and goes on from what it left.
"""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from jackpot.files.locks import SignedLock


@contextlib.contextmanager
def alone(resume_file: str | None) -> Iterator[None]:
    """Wait until no other process is at this training; within, any other one waits.

    Where the file system has no locks, or the file cannot be made, that is said and the training
    goes on without.
    """
    if not resume_file:
        yield
        return
    lock = SignedLock(Path(resume_file).with_suffix(".lock"))
    try:
        lock.acquire(
            lambda holder: _say(f"waits: {holder} is at this training and holds {lock.path}")
        )
    except OSError as error:
        _say(
            f"warning: {lock.path}: cannot be locked ({error.strerror or error}). Training goes "
            "on; see to it that no other job of a killed Snakemake is at it."
        )
        yield
        return
    try:
        yield
    finally:
        lock.release(remove=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
