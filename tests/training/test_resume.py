"""Trainings that are killed, stopped or find a strange resume file."""

import csv
import json
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import sys
import time

import torch

from jackpot.running.arguments import resume_path
from jackpot.training.resume import ResumeFile
from tests.support import ROOT
from tests.support.processes import wait_for
from tests.support.small import make_ticket, without_seconds

SCRIPT = ROOT / "workflow" / "scripts" / "retrain.py"
# Forks of a server that has imported torch and has no threads: a fork of this process, which has,
# may find a lock held for ever.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["jackpot.cli", "jackpot.stages.retrain"])


def options(paths, out, resume, *more):
    return [
        *("--clean", paths["clean"], "--weights", paths["init"], "--mask", paths["mask"]),
        *("--out", out, "--epochs", "60", "--batch-size", "16", "--crop-padding", "1"),
        *("--ticket", "snip", "--keep-weights", "--resume-file", resume, *more),
    ]


def saved_at(resume):
    """Where a script that is given this resume file saves itself on this machine."""
    return resume_path(resume, torch.device("cpu"))


def start(log, *arguments):
    """The script in a process of its own."""
    process = FORKS.Process(target=become, args=(log, arguments))
    process.start()
    return process


def become(log, arguments):
    sys.stdout = sys.stderr = open(log, "w", buffering=1)  # noqa: SIM115 (the process ends)
    sys.argv = [str(SCRIPT), *map(str, arguments)]
    runpy.run_path(str(SCRIPT), run_name="__main__")


def train(log, *arguments):
    """A whole training; returns what it said."""
    process = start(log, *arguments)
    process.join(120)
    assert process.exitcode == 0, log.read_text()
    return log.read_text()


def results(out):
    metrics = json.loads((out / "metrics.json").read_text())
    with open(out / "history.csv") as file:
        return metrics, without_seconds(csv.DictReader(file))


def test_ten_kills_at_random_moments_change_no_bit(tmp_path):
    paths, draws, log = make_ticket(tmp_path), random.Random(7), tmp_path / "log"
    train(log, *options(paths, tmp_path / "whole", tmp_path / "whole.resume"))
    asked = tmp_path / "killed.resume"
    resume = saved_at(asked)
    # An interval far below a step's time: a save after every step, so kills hit saves as well.
    often = options(paths, tmp_path / "killed", asked, "--resume-minutes", "1e-9")
    kills = 0
    for _ in range(40):
        if kills == 10:
            break
        before = resume.stat().st_mtime_ns if resume.exists() else 0
        process = start(log, *often)
        deadline = time.monotonic() + 60
        while process.is_alive() and time.monotonic() < deadline:
            if resume.exists() and resume.stat().st_mtime_ns != before:
                break
            time.sleep(0.001)
        time.sleep(draws.uniform(0, 0.05))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills == 10
    assert "goes on at epoch" in train(log, *options(paths, tmp_path / "killed", asked))
    (one, first), (two, second) = results(tmp_path / "whole"), results(tmp_path / "killed")
    assert one["weights_sha256"] == two["weights_sha256"]
    assert first == second
    assert two["resumes"] == 10 and one["resumes"] == 0
    assert not resume.exists()


def test_asked_to_stop_it_saves_and_asks_to_be_started_again(tmp_path):
    paths, resume, log = make_ticket(tmp_path), tmp_path / "r.resume", tmp_path / "log"
    # Long enough to be told twice before its end, however busy the machine is.
    longer = ("--epochs", "150")
    command = options(paths, tmp_path / "out", resume, *longer)
    for number in (signal.SIGTERM, signal.SIGINT):
        process = start(log, *command)
        # The bar; the line before it, "goes on at epoch", comes before signals are held back.
        wait_for(lambda: log.exists() and "epochs:" in log.read_text())
        os.kill(process.pid, number)
        process.join(60)
        assert process.exitcode == 75
        assert saved_at(resume).exists() and not (tmp_path / "out" / "metrics.json").exists()
        log.unlink()
    train(log, *command)
    train(log, *options(paths, tmp_path / "whole", tmp_path / "whole.resume", *longer))
    (one, first), (two, second) = results(tmp_path / "whole"), results(tmp_path / "out")
    assert (one["weights_sha256"], first) == (two["weights_sha256"], second)


def test_a_resume_file_of_other_settings_or_damaged_is_set_aside(tmp_path, capsys):
    path = tmp_path / "r.safetensors"
    file = ResumeFile(path, "one")
    file.save({"loss": torch.ones(())}, {"epoch": 3}, 3)
    assert ResumeFile(path, "one").load()[1] == {"epoch": 3}
    assert ResumeFile(path, "two").load() is None
    assert "other settings" in capsys.readouterr().err
    assert not path.exists() and path.with_suffix(".other").exists()
    file.save({"loss": torch.rand(100)}, {"epoch": 3}, 3)
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    assert ResumeFile(path, "one").load() is None
    assert "damaged" in capsys.readouterr().err and path.with_suffix(".damaged").exists()


def test_save_intervals_by_epochs_and_by_minutes(tmp_path):
    file = ResumeFile(tmp_path / "r", "x", minutes=None, epochs=2)
    assert [file.due(epoch, True) for epoch in (0, 1, 2)] == [False, False, True]
    assert not file.due(5, False)
    # Another training of the same job, as between the cuts of an iterative pruning.
    file.save({"loss": torch.ones(())}, {}, 150)
    file.remove()
    assert [file.due(epoch, True) for epoch in (0, 1, 2)] == [False, False, True]
    assert ResumeFile(tmp_path / "r", "x", minutes=1e-9).due(0, False)


def die_at(number, log, arguments):
    """The script, killed before its ``number``-th change of a directory."""
    left = [number]

    def counted(change):
        def change_or_die(*args, **kwargs):
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1
            return change(*args, **kwargs)

        return change_or_die

    for name in ("replace", "link", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    become(log, arguments)


def test_a_kill_between_any_two_changes_on_disk_loses_nothing(tmp_path):
    """What Snakemake does next is played: it deletes the outputs, which it holds for half-made."""
    paths, log = make_ticket(tmp_path), tmp_path / "log"

    def again(name, *more):
        files = options(paths, tmp_path / name, tmp_path / f".{name}.safetensors", *more)
        return [*files, "--epochs", "3", "--fingerprint", "today", "--resume-epochs", "1"]

    train(log, *again("whole"))
    one, first = results(tmp_path / "whole")
    for number in range(100):
        process = FORKS.Process(target=die_at, args=(number, log, again(str(number))))
        process.start()
        process.join(60)
        shutil.rmtree(tmp_path / str(number), ignore_errors=True)
        said = train(log, *again(str(number)))
        two, second = results(tmp_path / str(number))
        assert (one["weights_sha256"], first) == (two["weights_sha256"], second), number
        saved = "goes on at epoch" in said or "epochs" not in said
        assert saved == (number > 1), (
            "the first change makes way for a part, the second is the save"
        )
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert number > 12 and "epochs" not in said
