"""A study's lock: one Snakemake at a time, over an exec too, and a dead one holds nothing."""

import os
import subprocess
import sys
import time

import pytest

from jackpot.errors import JackpotError
from jackpot.running import results_folder
from tests.support import PACKAGE

HOLDER = f"""
import sys
sys.path.insert(0, {str(PACKAGE.parent)!r})
from jackpot.running.results_folder import at_work, hand_on, hold
"""
# What the next Snakemake call does: it looks, holds, and can be asked.
AGAIN = "import os; hand_on(); os.execv(sys.executable, [sys.executable, '-c', *sys.argv[1:]])"
HOLD = "hold(sys.argv[2]); print('held', flush=True); input(); "


class Other:
    """Another process, which says a line for every step and waits to be told to go on."""

    def __init__(self, program, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER + program, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def says(self):
        return self.process.stdout.readline().strip()

    def goes_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def other():
    made = []

    def start(program, *arguments):
        made.append(Other(program, *arguments))
        return made[-1]

    yield start
    for process in made:
        process.end()


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    monkeypatch.setattr(results_folder, "_held", {})


def test_the_second_is_told_of_the_first_and_a_dead_one_holds_nothing(tmp_path, other):
    root = tmp_path / "results" / "small"
    assert results_folder.at_work(root) is None and not root.exists()
    first = other("hold(sys.argv[1]); print('held', flush=True); input()", root)
    assert first.says() == "held"
    said = f"{root}: another Snakemake is at work here (process {first.process.pid} on "
    assert results_folder.at_work(root).startswith(said)
    with pytest.raises(JackpotError) as refused:
        results_folder.hold(root)
    assert str(refused.value).startswith(said) and "Nothing was started." in str(refused.value)
    first.end()
    assert results_folder.at_work(root) is None
    results_folder.hold(root)
    results_folder.hold(root)
    assert results_folder.at_work(root) is None, "it is this process itself"
    second = other("print(at_work(sys.argv[1]), flush=True)", root)
    assert f"(process {os.getpid()} on " in second.says()
    results_folder.release(root)
    third = other("print(at_work(sys.argv[1]), flush=True)", root)
    assert third.says() == "None"


def test_it_is_held_over_an_exec_without_a_gap(tmp_path, other):
    root, rival = (
        tmp_path / "small",
        other(
            "import time\n"
            "from jackpot.errors import JackpotError\n"
            "input()\n"
            "refused = 0\n"
            "while True:\n"
            "    try:\n"
            "        hold(sys.argv[1])\n"
            "        break\n"
            "    except JackpotError:\n"
            "        refused += 1\n"
            "print(refused, flush=True)\n",
            tmp_path / "small",
        ),
    )
    next_call = HOLDER + (
        "import os\n"
        "print(at_work(sys.argv[1]), os.environ.get('JACKPOT_STUDY_LOCK'), flush=True)\n"
        "hold(sys.argv[1])\n"
        "print('held', flush=True)\n"
        "input()\n"
    )
    first = other(HOLD + AGAIN, next_call, root)
    assert first.says() == "held"
    rival.goes_on()
    time.sleep(0.3)
    first.goes_on()
    assert first.says() == "None None" and first.says() == "held"
    assert f"(process {first.process.pid} on " in results_folder.at_work(root)
    time.sleep(0.3)
    assert rival.process.poll() is None
    first.end()
    assert int(rival.says()) > 0


def test_a_number_that_is_no_lock_is_not_adopted(tmp_path, monkeypatch):
    (tmp_path / "other").write_text("")
    with open(tmp_path / "other", "r+") as file:
        for number in (str(file.fileno()), "987654", "x", "-1"):
            monkeypatch.setenv("JACKPOT_STUDY_LOCK", number)
            results_folder.hold(tmp_path / "small")
            assert "JACKPOT_STUDY_LOCK" not in os.environ
            (lock,) = results_folder._held.values()
            assert lock.descriptor != file.fileno()
            results_folder.release(tmp_path / "small")


def test_files_of_the_future_become_files_of_now(tmp_path):
    (tmp_path / "sub").mkdir()
    old, new = tmp_path / "sub" / "old", tmp_path / "sub" / "new"
    for file, seconds in ((old, -1000), (new, 1000)):
        file.write_text("")
        os.utime(file, (time.time() + seconds,) * 2)
    before = old.stat().st_mtime
    results_folder.correct_future_dates(tmp_path, tmp_path / "missing")
    assert old.stat().st_mtime == before and abs(new.stat().st_mtime - time.time()) < 60


def test_a_folder_that_cannot_be_locked_is_worked_in_and_told_of(tmp_path, monkeypatch, capsys):
    def refused(lock):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(results_folder.SignedLock, "acquire", refused)
    results_folder.hold(tmp_path)
    said = capsys.readouterr().err
    assert said.startswith(f"warning: {tmp_path}/.lock: cannot be locked (Permission denied)")
