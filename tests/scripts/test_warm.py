"""Scripts run in a fork of a warm process exactly as they run by themselves."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import ROOT, need

WARM = ROOT / "workflow" / "scripts" / "warm.py"


@pytest.fixture
def owner(tmp_path):
    """The environment of a warm server that ends with a sleeping process."""
    need(sys.platform == "linux", "warm processes need Linux")
    process = subprocess.Popen(["sleep", "600"])
    # Not below tmp_path, which may be longer than a socket's path can be.
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / f"jackpot-test-{process.pid}"
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
        "print(sys.argv[1:], os.getcwd(), os.environ['MINE'], 'torch' in sys.modules)\n"
        "print(sys.stdin.read(), file=sys.stderr)\n"
        "sys.exit(int(sys.argv[1]))\n",
    )
    for number in (0, 3):
        done = subprocess.run(
            command(script, str(number), "a b"),
            input="in",
            env={**owner, "MINE": f"m{number}"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.stdout == f"['{number}', 'a b'] {tmp_path} m{number} True\n"
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


def test_without_a_server_the_script_runs_in_the_ordinary_way(tmp_path):
    script = written(tmp_path, "import sys\nprint(sys.argv[1:])\nsys.exit(4)\n")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JACKPOT_WARM")}
    done = subprocess.run(command(script, "x"), env=environment, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("['x']\n", 4)
