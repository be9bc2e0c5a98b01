"""One process at a time on a training."""

import errno
import os
import signal
import time

import pytest

from jackpot.running.alone import alone

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="plays two processes")


def other_process(resume, seconds):
    """A process at the same training; returns its number once it is there."""
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        with alone(resume):
            os.write(write, b"x")
            time.sleep(seconds)
        os._exit(0)
    assert os.read(read, 1) == b"x"
    return process


@pytest.mark.parametrize("killed", [False, True])
def test_the_second_waits_until_the_first_has_ended(tmp_path, capfd, killed):
    resume = str(tmp_path / "deep" / "r.safetensors")
    first = other_process(resume, 60 if killed else 0.3)
    read, write = os.pipe()
    second = os.fork()
    if second == 0:
        with alone(resume):
            # Whoever waited holds a file that a third one finds.
            third = os.fork()
            if third == 0:
                os.write(write, b"x")
                with alone(resume):
                    os._exit(0)
            # On a busy machine a process may be long in coming.
            assert os.read(read, 1) == b"x"
            time.sleep(0.5)
            waited = os.waitpid(third, os.WNOHANG) == (0, 0)
        os._exit(0 if waited and os.waitpid(third, 0)[1] == 0 else 1)
    time.sleep(0.15)
    assert os.waitpid(second, os.WNOHANG) == (0, 0)
    if killed:
        os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)
    assert os.waitpid(second, 0)[1] == 0
    said = capfd.readouterr().err
    assert f"waits: process {first} on " in said and f"holds {tmp_path}/deep/r.lock" in said
    assert f"waits: process {second} on " in said


def test_nothing_is_left_and_an_error_lets_go(tmp_path, capfd):
    resume = str(tmp_path / "r.safetensors")
    with pytest.raises(ZeroDivisionError), alone(resume):
        1 / 0  # noqa: B018
    with alone(resume), alone(str(tmp_path / "another.safetensors")), alone(None):
        pass
    assert not list(tmp_path.iterdir()) and not capfd.readouterr().err


def test_without_locks_it_is_said_and_the_training_goes_on(tmp_path, capfd, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr("jackpot.files.locks.lock_descriptor", refuse)
    reached = []
    with alone(str(tmp_path / "r.safetensors")):
        reached.append(1)
    (tmp_path / "file").write_text("")
    with alone(str(tmp_path / "file" / "r.safetensors")):
        reached.append(2)
    said = capfd.readouterr().err.splitlines()
    assert reached == [1, 2] and len(said) == 2
    assert "r.lock: cannot be locked (Operation not supported). Training goes on" in said[0]
    assert "r.lock: cannot be locked (File exists). Training goes on" in said[1]
