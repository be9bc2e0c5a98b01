"""Scripts run in a fork of a warm process exactly as they run by themselves."""

import array
import errno
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jackpot.running import warm
from tests.support import ROOT, need

WARM = ROOT / "workflow" / "scripts" / "warm.py"


@pytest.fixture
def owner(tmp_path):
    """The environment of a warm server that ends with a sleeping process."""
    need(sys.platform == "linux", "warm processes need Linux")
    process = subprocess.Popen(["sleep", "600"])
    # A socket's own path may have 107 characters at most.
    folder = tmp_path / ("long" * 33) / "warm"
    folder.parent.mkdir(mode=0o700)
    environment = {
        **os.environ,
        "JACKPOT_WARM": str(folder),
        "JACKPOT_WARM_OWNER": str(process.pid),
    }
    yield environment
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists(), "the server must end with its owner and leave nothing behind"


def command(script, *arguments):
    return [sys.executable, "-S", "-E", str(WARM), str(script), *arguments]


def written(folder, text):
    path = folder / "script.py"
    path.write_text(text)
    return path


def test_arguments_streams_folder_environment_and_status_are_the_scripts_own(tmp_path, owner):
    script = written(
        tmp_path,
        "import os, sys\n"
        "own = [os.environ[name] for name in ('MINE', 'EMPTY')]\n"
        "print(sys.argv[1:], os.getcwd(), *map(repr, own), 'torch' in sys.modules)\n"
        "print(sys.stdin.read(), file=sys.stderr)\n"
        "sys.exit(int(sys.argv[1]))\n",
    )
    for number in (0, 3):
        arguments, mine = [str(number), "", "a b\n\udcff=é"], f"m=\n{number}"
        done = subprocess.run(
            command(script, *arguments),
            input="in",
            env={**owner, "MINE": mine, "EMPTY": ""},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"{arguments} {tmp_path} {mine!r} '' True\n"
        assert (done.stderr, done.returncode) == ("in\n", number)


def test_messages_and_tracebacks_reach_the_log(tmp_path, owner):
    text = "import sys\nsys.exit('no such file')\n"
    done = subprocess.run(
        command(written(tmp_path, text)), env=owner, capture_output=True, text=True
    )
    assert (done.stderr, done.returncode) == ("no such file\n", 1)
    text = "raise ValueError('broken')\n"
    done = subprocess.run(
        command(written(tmp_path, text)), env=owner, capture_output=True, text=True
    )
    assert "ValueError: broken" in done.stderr and done.returncode == 1


def test_jobs_share_nothing(tmp_path, owner):
    script = written(tmp_path, "import torch\ntorch.jackpot = 1\n")
    subprocess.run(command(script), env=owner, check=True)
    script = written(tmp_path, "import torch\nassert not hasattr(torch, 'jackpot')\n")
    subprocess.run(command(script), env=owner, check=True)


def test_signals_reach_the_job_and_a_dead_clients_job_dies(tmp_path, owner):
    script = written(
        tmp_path,
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n",
    )
    process = subprocess.Popen(command(script), env=owner, stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.terminate()
    assert process.wait(10) == 75
    process = subprocess.Popen(command(script), env=owner, stdout=subprocess.PIPE, text=True)
    job = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(job, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("the job outlived its client")


def test_eight_at_once(tmp_path, owner):
    script = written(tmp_path, "import sys, time\ntime.sleep(0.2)\nprint(sys.argv[1])\n")
    jobs = [
        subprocess.Popen(command(script, str(i)), env=owner, stdout=subprocess.PIPE, text=True)
        for i in range(8)
    ]
    assert [job.communicate()[0] for job in jobs] == [f"{i}\n" for i in range(8)]


def server_of(folder):
    """The number of the process that listens in a folder."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[-3:-1] == [b"--serve", os.fsencode(folder)]:
            return int(process.name)
    raise AssertionError(f"no server in {folder}")


def test_a_server_that_dies_under_a_message_or_a_job_ends_it_with_its_own_status(tmp_path, owner):
    subprocess.run(command(written(tmp_path, "")), env=owner, check=True)
    folder = owner["JACKPOT_WARM"]
    server = server_of(folder)
    os.kill(server, signal.SIGSTOP)
    # More than the socket holds, and less: one is still sending, and one waits for its job.
    many = {**owner, **{f"V{number}": "x" * 100_000 for number in range(6)}}
    clients = [
        subprocess.Popen(
            command(tmp_path / "script.py"), env=each, stderr=subprocess.PIPE, text=True
        )
        for each in (many, owner)
    ]
    time.sleep(0.5)
    os.kill(server, signal.SIGKILL)
    for client in clients:
        said = client.communicate(timeout=30)[1]
        assert said == f"error: the job was not started; {folder}/log may say why.\n"
        assert client.returncode == 70
    # And the next client finds none, and starts one.
    subprocess.run(command(tmp_path / "script.py"), env=owner, check=True)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_not_taken_by_the_clients_own_files(tmp_path, owner, closed):
    subprocess.run(command(written(tmp_path, "")), env=owner, check=True)
    script = written(
        tmp_path,
        "import os, pathlib, sys, time\n"
        "print('out', flush=True)\n"
        "print('err', file=sys.stderr, flush=True)\n"
        "time.sleep(0.3)\n"
        "files = [os.path.realpath(f'/proc/self/fd/{number}') for number in range(3)]\n"
        "pathlib.Path(sys.argv[1]).write_text(' '.join(files))\n",
    )
    said = tmp_path / "said"
    shell = ["bash", "-c", f'"$@" {closed}', "bash", *command(script, str(said))]
    done = subprocess.run(shell, env=owner, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.returncode == 0
    assert "socket" not in said.read_text() and "/dev/null" in said.read_text()


def test_a_signal_after_a_jobs_end_changes_nothing(tmp_path, owner):
    script = written(tmp_path, "import os\nprint(os.getpid(), flush=True)\n")
    client = subprocess.Popen(
        command(script), env=owner, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    job = Path("/proc", client.stdout.readline().strip())
    client.send_signal(signal.SIGSTOP)
    deadline = time.monotonic() + 10
    while job.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    client.send_signal(signal.SIGTERM)
    client.send_signal(signal.SIGCONT)
    assert (client.communicate()[1], client.returncode) == ("", 0)


@pytest.mark.parametrize("fault", ["no process", "half a message"])
def test_a_job_that_cannot_be_started_leaves_the_server_as_it_was(
    tmp_path, monkeypatch, capfd, fault
):
    need(sys.platform == "linux", "warm processes need Linux")

    def fork():
        assert fault == "no process", "nothing of a client that died half way is run"
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(os, "fork", fork)
    monkeypatch.chdir(tmp_path)
    listener, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    read, write = os.pipe()
    jobs, message = {}, b"1\0script.py\0/\0A=1\0B=2\0"
    with listener, client:
        listener.bind("socket")
        listener.listen()
        client.connect("socket")
        files = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write] * 3))]
        client.sendmsg([len(message).to_bytes(8, "big")], files)
        client.sendall(message if fault == "no process" else message[:-4])
        client.shutdown(socket.SHUT_WR)
        warm.start(listener, jobs, lambda _: True)
        assert not jobs and client.recv(1) == b"", "the client is told that there is no job"
    os.close(write)
    assert os.read(read, 1) == b"", "the job's files are closed"
    os.close(read)
    said = "script.py: no process: Cannot allocate memory\n" if fault == "no process" else ""
    assert capfd.readouterr().err == said


def test_without_a_server_the_script_runs_in_the_ordinary_way(tmp_path):
    script = written(tmp_path, "import sys\nprint(sys.argv[1:])\nsys.exit(4)\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JACKPOT_WARM")}
    done = subprocess.run(command(script, "x"), env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("['x']\n", 4)


def test_a_strangers_folder_is_not_used_and_no_link_is_followed(tmp_path, owner):
    need(os.geteuid() == 0, "another user is played by root")
    victim, folder = tmp_path / "victim", Path(owner["JACKPOT_WARM"])
    victim.write_text("precious")
    script = written(tmp_path, "print('ran')\n")
    folder.mkdir()
    (folder / "lock").symlink_to(victim)
    for mode, user in ((0o777, 65534), (0o700, 65534), (0o755, 0)):
        folder.chmod(mode)
        os.chown(folder, user, user)
        done = subprocess.run(command(script), env=owner, capture_output=True, text=True)
        assert done.returncode == 1 and not done.stdout
        assert done.stderr.startswith(f"error: {folder}: not used, because it is not this user's")
    folder.chmod(0o700)
    done = subprocess.run(command(script), env=owner, capture_output=True, text=True)
    assert done.returncode and not done.stdout and victim.read_text() == "precious"
    (folder / "lock").unlink()
    folder.rmdir()


INTRUDER = """
import array, os, socket, sys
address, script, folder = sys.argv[1:]
os.chdir(address)
os.setgid(65534); os.setuid(int(sys.stdin.read()))
connection = socket.socket(socket.AF_UNIX)
connection.connect("socket")
message = f"1\\0{script}\\0{folder}\\0".encode()
files = array.array("i", [0, 1, 2])
try:
    header = len(message).to_bytes(8, "big")
    connection.sendmsg([header], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
    connection.sendall(message)
    print("said", repr(connection.recv(100)), repr(connection.recv(100)))
except OSError as error:
    print("said", error)
"""


def test_a_temporary_folder_that_was_cleared_away_is_made_again(tmp_path, owner):
    parent = Path(owner["JACKPOT_WARM"]).parent
    parent.rmdir()
    subprocess.run(command(written(tmp_path, "")), env=owner, check=True)
    assert parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("user", [0, 65534])
def test_the_server_answers_its_own_user_alone(tmp_path, owner, user):
    """A stranger who gets as far as the socket, because the folder was opened to them."""
    need(os.geteuid() == 0, "another user is played by root")
    folder, made = Path(owner["JACKPOT_WARM"]), tmp_path / "made"
    subprocess.run(command(written(tmp_path, "")), env=owner, check=True)
    folder.chmod(0o711)
    (folder / "socket").chmod(0o777)
    script = written(tmp_path, f"open({str(made)!r}, 'w')\n")
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", INTRUDER, folder, script, tmp_path],
        input=str(user),
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith("said"), done.stderr
    deadline = time.monotonic() + (5 if user == 0 else 1)
    while not made.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    # The same message is obeyed where it comes from this user.
    assert made.exists() == (user == 0)
    folder.chmod(0o700)
