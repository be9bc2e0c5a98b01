"""A process that runs jobs as forks of itself, because it has imported torch already.

A study is hundreds of jobs of a second or two, and ``import torch`` alone takes 1.7 s. The first
job of a Snakemake call starts this process, which imports what most jobs import; every job is a
fork of it, so jobs share no state. What another stage imports, such as matplotlib, it imports at
that stage's first job. It ends with the Snakemake process of JACKPOT_WARM_OWNER, and JACKPOT_WARM
is another folder for other code, so the code it holds is the code whose fingerprint Snakemake took.

Its client, and what a message is, are in ``workflow/scripts/warm.py``.
"""

import array
import contextlib
import gc
import importlib
import os
import runpy
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from jackpot.files.atomic import is_running

SLOW = (
    "jackpot.cli",
    "jackpot.running.finished",
    "jackpot.running.device",
    "jackpot.stages.prune",
    "jackpot.stages.pretrain",
    "jackpot.stages.retrain",
)


@dataclass(frozen=True)
class Job:
    """A job as its client has sent it.

    Attributes:
        arguments: a Python script and its command line.
        folder: to run in.
        environment: the client's.
    """

    arguments: list[str]
    folder: str
    environment: dict[str, str]

    @classmethod
    def read(cls, message: bytes) -> "Job":
        """From words that end in a zero: how many arguments, these, the folder, ``NAME=VALUE``.

        Raises:
            ValueError: it is no such message.
        """
        count, *words = map(os.fsdecode, message.split(b"\0")[:-1])
        folder, *variables = words[int(count) :]
        pairs = (variable.partition("=") for variable in variables)
        return cls(words[: int(count)], folder, {name: value for name, _, value in pairs})


def serve(folder: str, is_own: Callable[[socket.socket], bool]) -> None:
    """Listen in a private folder until the owner has ended, and leave nothing there.

    Args:
        is_own: whether this user is at the other end of a connection.
    """
    for name in SLOW:
        importlib.import_module(name)
    read_registries()
    owner = int(os.environ["JACKPOT_WARM_OWNER"])
    with contextlib.chdir(folder):
        with contextlib.suppress(OSError):
            os.unlink("socket")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # A whole path may be longer than the 107 characters that an address can have.
        listener.bind("socket")
    listener.listen(128)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    jobs: dict[int, socket.socket] = {}
    abandoned = False
    while jobs or is_running(owner):
        if jobs and not abandoned and not is_running(owner):
            # Snakemake was killed. Its jobs save themselves and stop; the next call goes on.
            abandoned = True
            for child in jobs:
                os.kill(child, signal.SIGTERM)
        # What an abandoned job's shell may still ask for is not begun.
        waiting = [wake, *jobs.values(), *([] if abandoned else [listener])]
        ready, _, _ = select.select(waiting, [], [], 1)
        if listener in ready:
            start(listener, jobs, is_own)
        if wake in ready:
            os.read(wake, 4096)
        finish(jobs)
        for child, connection in jobs.items():
            # A client never speaks again; if it can be read, it has died, and so must its job.
            if connection in ready:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
    with contextlib.suppress(OSError):
        for name in ("socket", "lock", "log"):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


def read_registries() -> None:
    """Parse the files whose names every job's command line is checked against."""
    from jackpot.architectures import MODELS
    from jackpot.checks import CHECKS

    # What is wrong with a file, the job that needs it says.
    with contextlib.suppress(Exception):
        for registry in (MODELS, CHECKS):
            registry.names()


def start(
    listener: socket.socket,
    jobs: dict[int, socket.socket],
    is_own: Callable[[socket.socket], bool],
) -> None:
    """Fork a child for the next connection, and tell the client its number."""
    connection, _ = listener.accept()
    files = array.array("i")
    try:
        # What arrives is run: from nobody else, root neither.
        if not is_own(connection):
            raise OSError("another user's client")
        header, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * 4))
        for _, _, data in ancillary:
            files.frombytes(data)
        length = int.from_bytes(header, "big")
        with connection.makefile("rb") as stream:
            message = stream.read(length)
        if len(message) < length:
            raise OSError("its client has died")
        job = Job.read(message)
    except (OSError, ValueError):
        refuse(connection, files)
        return
    import_stage(job.arguments[0])
    # Jobs need not look for cycles among what was imported: a tenth of the time of drawing.
    gc.freeze()
    try:
        child = os.fork()
    except OSError as error:
        # No memory, or too many processes: the other jobs go on, and this one has no number.
        print(f"{job.arguments[0]}: no process: {error.strerror}", file=sys.stderr, flush=True)
        child = None
    if child == 0:
        become(job, files, [listener, connection, *jobs.values()])
    if child is None:
        refuse(connection, files)
        return
    for file in files:
        os.close(file)
    jobs[child] = connection
    with contextlib.suppress(OSError):
        connection.sendall(f"{child}\n".encode())


def refuse(connection: socket.socket, files: array.array) -> None:
    """Start no job; its client reads that from the end of the connection."""
    for file in files:
        os.close(file)
    connection.close()


def import_stage(script: str) -> None:
    """What a script's stage imports; its next job finds it there."""
    name = os.path.splitext(os.path.basename(script))[0]
    # What is wrong with it, its job says; some scripts have no stage.
    with contextlib.suppress(Exception):
        importlib.import_module(f"jackpot.stages.{name}")


def finish(jobs: dict[int, socket.socket]) -> None:
    """Tell the clients of children that have ended their exit statuses."""
    while jobs:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(OSError), jobs.pop(child) as connection:
            connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())


def become(job: Job, files: array.array, inherited: list[socket.socket]) -> None:
    """In the child: be the job, and never return."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        for connection in inherited:
            connection.close()
        os.chdir(job.folder)
        os.environ.clear()
        os.environ.update(job.environment)
        sys.argv = job.arguments
        sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
        runpy.run_path(sys.argv[0], run_name="__main__")
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
