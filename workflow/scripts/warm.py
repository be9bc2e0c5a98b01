"""Run a Python script in a process forked from one that has imported torch already.

    python -S -E warm.py script.py --options ...

This is the client of ``jackpot.running.warm``, which says why: it hands over its arguments,
environment and open files, passes signals on, and ends with the job's exit status. Where forking is
no option (not Linux, no JACKPOT_WARM) the script is run in the ordinary way, with the same result.

A study starts hundreds of clients, so this one imports next to nothing, and no ``site``.
"""

# ``signal`` and ``socket`` are these and enumerations of their constants, which would take twice as
# long as all else here.
import _signal
import _socket
import os
import stat
import sys

# What the scripts import is the workflow's own, whichever is installed.
LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lib")
PASSED_ON = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP)
BROKEN = 70  # EX_SOFTWARE: the server could not start the job, or died under it


def run_ordinarily(arguments: list[str]) -> None:
    others = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [LIBRARY, others]))
    os.execv(sys.executable, [sys.executable, *arguments])


def run_warm(arguments: list[str], folder: str) -> int:
    """Have the server run a script; its exit status."""
    # What is opened must not pass for the job's input or output, where one of these is closed.
    while (opened := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(opened)
    connection = connected(folder) or start_server(folder)
    variables = (name + b"=" + value for name, value in os.environb.items() if name)
    words = [b"%d" % len(arguments), *map(os.fsencode, arguments), os.getcwdb(), *variables]
    message = b"".join(word + b"\0" for word in words)
    # From here on a job may be running, and a signal is its own: hold it back until it is known.
    _signal.pthread_sigmask(_signal.SIG_BLOCK, PASSED_ON)
    told = answers(connection, message)
    child = next(told, None)
    if not child:
        print(f"error: the job was not started; {folder}/log may say why.", file=sys.stderr)
        return BROKEN

    def pass_on(number, _):
        try:
            os.kill(child, number)
        except ProcessLookupError:
            return  # it has ended, and its status is on the way

    for number in PASSED_ON:
        _signal.signal(number, pass_on)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, PASSED_ON)
    return next(told, BROKEN)


def answers(connection: _socket.socket, message: bytes):
    """What the server says to a message and our files: the job's process, then its exit status.

    Nothing, or nothing more, where the server has died.
    """
    header, received = len(message).to_bytes(8, "big"), b""
    files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
    try:
        connection.sendmsg([header], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
        connection.sendall(message)
        while more := connection.recv(64):
            *lines, received = (received + more).split(b"\n")
            yield from map(int, lines)
    except (BrokenPipeError, ConnectionResetError):
        return


def connected(folder: str) -> _socket.socket | None:
    """A connection to this user's server; None where there is no server."""
    # What is long idle in a temporary folder may have been cleared away.
    for each in (os.path.dirname(folder), folder):
        try:
            os.mkdir(each, mode=0o700)
        except FileExistsError:
            refuse_strangers(each)
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # A whole path may be longer than the 107 characters that an address can have.
        connection.connect(f"/proc/self/fd/{opened}/socket")
    except OSError:
        connection.close()
        return None
    finally:
        os.close(opened)
    if not is_own(connection):
        connection.close()
        return None
    return connection


def start_server(folder: str) -> _socket.socket:
    """Start the server, unless another client is just doing so, and connect to it."""
    import fcntl
    import subprocess
    import time

    # A lock that a stranger has made into a link must not be followed.
    lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with open(lock, "w"):
        fcntl.flock(lock, fcntl.LOCK_EX)
        if connection := connected(folder):
            return connection
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
            if connection := connected(folder):
                return connection
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


def is_own(connection: _socket.socket) -> bool:
    """Whether this user is at the other end, as the kernel knows it."""
    credentials = connection.getsockopt(_socket.SOL_SOCKET, _socket.SO_PEERCRED, 3 * 4)
    return int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        sys.path.insert(1, LIBRARY)
        from jackpot.running.warm import serve

        serve(sys.argv[2], is_own)
    elif sys.platform != "linux" or "JACKPOT_WARM" not in os.environ:
        run_ordinarily(sys.argv[1:])
    else:
        # At once: a signal while Python ends would speak for a job that has ended by itself.
        os._exit(run_warm(sys.argv[1:], os.environ["JACKPOT_WARM"]))
