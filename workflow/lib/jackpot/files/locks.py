"""Kernel locks on files that say who holds them.

The kernel lets go of a lock when its holder ends, however it ends. ``filelock`` does the locking;
its ``FileLock`` alone would not do, because it tells neither who holds a file nor keeps it open
over an ``exec``. Where nobody asks who holds a lock (``running/lease.py``), ``FileLock`` is used.
"""

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path

from filelock import lock_descriptor, unlock_descriptor


class LockHeld(Exception):
    """Another process holds the lock; ``str`` of this is who."""


class SignedLock:
    """A lock on a file, which the holder signs: ``process 7 on somewhere``."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.descriptor: int | None = None

    def acquire(self, waiting: Callable[[str], None] | None = None) -> None:
        """Hold the lock until ``release`` or the end of this process.

        Args:
            waiting: is told who holds it, once, before this waits for its turn; without it
                nothing waits.

        Raises:
            LockHeld: another process holds it, and nothing is to wait.
            OSError: the file cannot be made, or its file system has no locks.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            # A lock file that a stranger has made into a link would let us write elsewhere.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
            descriptor = os.open(self.path, flags, 0o666)
            try:
                if not lock_descriptor(descriptor, blocking=False):
                    holder = _signature(descriptor)
                    if waiting is None:
                        raise LockHeld(holder)
                    waiting(holder)
                    lock_descriptor(descriptor)
                # Its last holder may have removed it, and a third made another.
                if self._is_of(descriptor):
                    _sign(descriptor)
                    self.descriptor = descriptor
                    return
            finally:
                if self.descriptor != descriptor:
                    os.close(descriptor)

    def adopt(self, descriptor: int) -> bool:
        """Hold on to what this process locked before it became another program by ``exec``.

        Returns:
            False, and nothing is changed, if the open file is not this lock, held by us.
        """
        try:
            if not self._is_of(descriptor) or not lock_descriptor(descriptor, blocking=False):
                return False
        except OSError:
            return False
        os.set_inheritable(descriptor, False)
        self.descriptor = descriptor
        return True

    def release(self, *, remove: bool = False) -> None:
        """Let go, and ``remove`` the file if nobody needs it any more."""
        if remove:
            with contextlib.suppress(OSError):
                self.path.unlink()
        # A child that still lives would hold it on: it has the file open as well.
        unlock_descriptor(self.descriptor)
        os.close(self.descriptor)
        self.descriptor = None

    def holder(self) -> str | None:
        """Who holds it now; None if nobody does, or if that cannot be told. Changes nothing."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except OSError:
            return None
        try:
            return None if lock_descriptor(descriptor, blocking=False) else _signature(descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _is_of(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(self.path))
        except FileNotFoundError:
            return False


def _sign(descriptor: int) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)


def _signature(descriptor: int) -> str:
    return os.pread(descriptor, 1000, 0).decode(errors="replace").strip() or "another process"
