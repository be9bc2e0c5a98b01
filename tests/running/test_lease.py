"""Leases: a device never has more jobs than it may, whoever is killed when."""

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.running import lease

TAKER = """
import os, random, sys, time
sys.path.insert(0, sys.argv[1])
from jackpot.running.lease import take
places, folder, seed = int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
draws = random.Random(seed)
parent = os.getppid()
while os.getppid() == parent:
    stays = draws.random() < 0.25
    child = os.fork()
    if child == 0:
        random.seed(draws.random())
        name = take(["a", "b"], places, folder)
        os.write(1, f"take {os.getpid()} {name}\\n".encode())
        # One that stays frees its place only by being killed.
        time.sleep(60 if stays else draws.choice([0, 0.002]))
        os.write(1, f"leave {os.getpid()} {name}\\n".encode())
        os._exit(0)
    draws.random()
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("places", [1, 2])
def test_eight_takers_never_exceed_the_limit_whatever_is_killed(tmp_path, places):
    package = Path(lease.__file__).parents[2]
    # One pipe for all: a line is written after a taking and before a leaving, so in the order of
    # lines no device may ever have more holders than places.
    reading, writing = os.pipe()
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, package, str(places), tmp_path, str(seed)],
            stdout=writing,
        )
        for seed in range(8)
    ]
    os.close(writing)
    held, most, takings, kills, draws = {}, Counter(), 0, 0, random.Random(places)
    try:
        with os.fdopen(reading, "rb", buffering=0) as lines:
            while takings < 1100:
                if not select.select([lines], [], [], 0.002)[0] and held:
                    kills += kill(held, draws.choice(list(held)))
                    continue
                what, process, name = lines.readline().decode().split()
                if what == "leave":
                    held.pop(process, None)
                    continue
                held[process] = name
                takings += 1
                here = sum(other == name for other in held.values())
                most[name] = max(most[name], here)
                assert here <= places, (name, held)
                if draws.random() < 0.1:
                    kills += kill(held, process)
    finally:
        for taker in takers:
            taker.kill()
            taker.wait()
        for process in list(held):
            kill(held, process)
    assert kills > 100
    assert most == {"a": places, "b": places}


def kill(held, process):
    """Count a holder as gone, then kill it: its place may be taken before this returns."""
    del held[process]
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(process), signal.SIGKILL)
        return 1
    return 0


def test_devices_fill_evenly(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "_HELD", [])
    names = [lease.take(["a", "b", "c"], 2, tmp_path) for _ in range(6)]
    assert sorted(names[:3]) == sorted(names[3:]) == ["a", "b", "c"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where this machine's lock files are."""
    monkeypatch.setattr(lease, "_HELD", [])
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    return tmp_path / "jackpot" / "leases"


def test_a_cpu_needs_no_place(folder):
    cpu = torch.device("cpu")
    assert lease.lease_device(cpu) == cpu and not folder.exists()


def test_visible_devices_are_honoured_and_named_as_the_machine_names_them(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert lease.device_names() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert lease.device_names() == ["3", "5"]
    devices = {lease.lease_device(torch.device("cuda")).index for _ in range(2)}
    assert devices == {0, 1} == {device.index for device in chosen}
    assert {path.name for path in folder.iterdir()} == {"3.0.lock", "5.0.lock"}


def test_a_slurm_job_keeps_its_leases_to_itself(folder, monkeypatch):
    outside = lease.lease_folder()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert lease.lease_folder() != outside == folder


def test_no_place_at_all_is_refused(tmp_path):
    with pytest.raises(JackpotError, match="less than 1"):
        lease.take(["a"], 0, tmp_path)
