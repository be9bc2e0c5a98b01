"""Run a Python script in a process forked from one that has imported torch already.

    python -S -E warm.py script.py --options ...

A study is hundreds of jobs of a second or two, and ``import torch`` alone takes 1.7 s. The first
job of a Snakemake call starts a server that imports what most jobs import; every job is a fork of
it, so jobs share no state. What another stage imports, such as matplotlib, the server imports at
that stage's first job. The server ends with the Snakemake process of JACKPOT_WARM_OWNER, and
JACKPOT_WARM is another folder for other code, so the code it holds is the code whose fingerprint
Snakemake took. Where forking is no option (not
Linux, no JACKPOT_WARM) the script is run in the ordinary way, with the same result.

Only the standard library is imported here, without ``site``: a client starts in 20 ms.
"""

import array
import contextlib
import fcntl
import gc
import json
import os
import signal
import socket
import stat
import struct
import subprocess
import sys
import time

SLOW = (
    "jackpot.cli",
    "jackpot.running.finished",
    "jackpot.running.device",
    "jackpot.stages.prune",
    "jackpot.stages.pretrain",
    "jackpot.stages.retrain",
)
# What the scripts import is the workflow's own, whichever is installed.
LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BROKEN = 70  # EX_SOFTWARE: the server could not start the job, or died under it


def run_ordinarily(arguments: list[str]) -> None:
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [LIBRARY, others]))
    os.execv(sys.executable, [sys.executable, *arguments])


# The client: hands over its arguments and open files, passes signals on, returns the exit status.


def client(arguments: list[str], folder: str) -> int:
    connection = connect(folder)
    job = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
    message = json.dumps(job).encode()
    files = array.array("i", [0, 1, 2])
    header = len(message).to_bytes(8, "big")
    # From here on a job may be running, and a signal is its own: hold it back until it is known.
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)
    connection.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    connection.sendall(message)
    reply = connection.makefile("r")
    child = int(reply.readline() or 0)
    if not child:
        print(f"error: the job was not started; {folder}/log may say why.", file=sys.stderr)
        return BROKEN
    for number in PASSED_ON:
        signal.signal(number, lambda number, _: os.kill(child, number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    status = reply.readline()
    return int(status) if status else BROKEN


def connect(folder: str) -> socket.socket:
    # What is long idle in a temporary folder may have been cleared away.
    for each in (os.path.dirname(folder), folder):
        with contextlib.suppress(FileExistsError):
            os.mkdir(each, mode=0o700)
        refuse_strangers(each)
    # A lock that a stranger has made into a link must not be followed.
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with open(lock, "w"):
        fcntl.flock(lock, fcntl.LOCK_EX)
        with contextlib.suppress(OSError):
            return connected(folder)
        # In its own session: Ctrl-C reaches the jobs through their clients.
        with open(os.path.join(folder, "log"), "wb") as log:
            server = subprocess.Popen(
                [sys.executable, os.path.abspath(__file__), "--serve", folder],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # A hundred jobs that import torch from one network file system at once take their time.
        while server.poll() is None:
            with contextlib.suppress(OSError):
                return connected(folder)
            time.sleep(0.02)
    sys.exit(
        f"error: the warm process did not start; {folder}/log says why. "
        "Set warm_processes: false in config.yaml to do without."
    )


def refuse_strangers(folder: str) -> None:
    """Stop if the folder is not this user's alone (as jackpot.running.private_folder has it)."""
    found = os.lstat(folder)
    private = stat.S_ISDIR(found.st_mode) and not found.st_mode & 0o077
    if not private or found.st_uid != os.geteuid():
        sys.exit(
            f"error: {folder}: not used, because it is not this user's alone. Remove it, or set "
            "warm_processes: false in config.yaml to do without."
        )


def connected(folder: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short(folder) as address:
            connection.connect(address)
        if user_of(connection) != os.geteuid():
            raise OSError("another user's server")
    except OSError:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def short(folder: str):
    """The socket's path in at most the 107 characters that one may have."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{opened}/socket"
    finally:
        os.close(opened)


def user_of(connection: socket.socket) -> int:
    """The number of the user at the other end, as the kernel knows it."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 3 * 4)
    return struct.unpack("3i", credentials)[1]


# The server: forks a child for every connection and reports its exit status.


def serve(folder: str) -> None:
    import importlib
    import select

    sys.path.insert(1, LIBRARY)
    for name in SLOW:
        importlib.import_module(name)
    address, owner = os.path.join(folder, "socket"), int(os.environ["JACKPOT_WARM_OWNER"])
    with contextlib.suppress(OSError):
        os.unlink(address)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short(folder) as path:
        listener.bind(path)
    listener.listen(128)
    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(woken)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    jobs: dict[int, socket.socket] = {}
    abandoned = False
    while jobs or alive(owner):
        if jobs and not abandoned and not alive(owner):
            # Snakemake was killed. Its jobs save themselves and stop; the next call goes on.
            abandoned = True
            for child in jobs:
                os.kill(child, signal.SIGTERM)
        # What an abandoned job's shell may still ask for is not begun.
        waiting = [wake, *jobs.values(), *([] if abandoned else [listener])]
        ready, _, _ = select.select(waiting, [], [], 1)
        if listener in ready:
            start(listener, jobs)
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


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def start(listener: socket.socket, jobs: dict[int, socket.socket]) -> None:
    connection, _ = listener.accept()
    try:
        # What arrives is run: from nobody else, root neither.
        if user_of(connection) != os.geteuid():
            raise OSError("another user's client")
        header, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * 4))
        files = array.array("i")
        for _, _, data in ancillary:
            files.frombytes(data)
        with connection.makefile("rb") as stream:
            message = stream.read(int.from_bytes(header, "big"))
        job = json.loads(message)
    except (OSError, ValueError):
        connection.close()
        return
    import_stage(job["arguments"][0])
    # Jobs need not look for cycles among what was imported: a tenth of the time of drawing.
    gc.freeze()
    try:
        child = os.fork()
    except OSError as error:
        # No memory, or too many processes: the other jobs go on, and this one ends as BROKEN.
        print(f"{job['arguments'][0]}: no process: {error.strerror}", file=sys.stderr, flush=True)
        child = None
    if child == 0:
        become(job, files, [listener, connection, *jobs.values()])
    for file in files:
        os.close(file)
    if child is None:
        connection.close()
        return
    jobs[child] = connection
    with contextlib.suppress(OSError):
        connection.sendall(f"{child}\n".encode())


def import_stage(script: str) -> None:
    """What a script's stage imports; its next job finds it there."""
    import importlib

    name = os.path.splitext(os.path.basename(script))[0]
    # What is wrong with it, its job says; some scripts have no stage.
    with contextlib.suppress(Exception):
        importlib.import_module(f"jackpot.stages.{name}")


def finish(jobs: dict[int, socket.socket]) -> None:
    while jobs:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(OSError), jobs.pop(child) as connection:
            connection.sendall(f"{code if code >= 0 else 128 - code}\n".encode())


def become(job: dict, files: array.array, inherited: list[socket.socket]) -> None:
    """In the child: be the job, and never return."""
    import runpy
    import traceback

    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        for connection in inherited:
            connection.close()
        os.chdir(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        sys.argv = job["arguments"]
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


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2])
    elif sys.platform != "linux" or "JACKPOT_WARM" not in os.environ:
        run_ordinarily(sys.argv[1:])
    else:
        sys.exit(client(sys.argv[1:], os.environ["JACKPOT_WARM"]))
