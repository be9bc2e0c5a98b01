"""Trainings that are killed under Snakemake end with the bits of those that were not."""

import contextlib
import json
import os
import random
import signal
import struct
import sys
import time
from pathlib import Path

import pytest
import torch

from jackpot.files.tensors import load_tensors, sha256_of_tensors
from jackpot.fingerprints import recorded
from jackpot.models import load_model
from jackpot.settings import Training
from jackpot.training import engine
from jackpot.training.results import load_splits
from jackpot.training.resume import ResumeFile
from tests.support import need
from tests.support.small import make_ticket
from tests.support.snake import Clone, kill, kill_all, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
LONG = {
    "training": {"epochs": 12, "crop_padding": 1, "flip": False},
    "experiments": [{"tickets": ["weight_rewinding"], "sparsities": [0.8], "seeds": [0]}],
}
PRETRAINING = "weights/digits/vgg5/seed0/clean"


class Killed(Exception):
    """Stands for SIGKILL: nothing of the process's memory goes on."""


@pytest.mark.parametrize(
    ("interval", "longest"),
    # 96 images in batches of 16 are 6 steps an epoch; the clock below ticks a second a step.
    [({"minutes": None, "epochs": 2}, 12), ({"minutes": 7 / 60, "epochs": None}, 8)],
)
def test_the_redone_work_is_at_most_one_interval(tmp_path, monkeypatch, interval, longest):
    paths, steps = make_ticket(tmp_path), {"done": 0, "until": None}
    settings = Training(epochs=8, batch_size=16, crop_padding=1, flip=False)
    step = engine.SGD.step

    def counted(self, lr):
        if steps["until"] is not None and steps["done"] == steps["until"]:
            raise Killed
        step(self, lr)
        steps["done"] += 1

    monkeypatch.setattr(engine.SGD, "step", counted)
    monkeypatch.setattr("jackpot.training.resume.time.monotonic", lambda: float(steps["done"]))

    def trained(resume):
        if resume:
            resume._saved_at = steps["done"]
        model = load_model(paths["init"])
        train, test = load_splits(paths["clean"], paths["clean"], torch.device("cpu"))
        outcome = engine.train(model, train, test, settings, seed=0, epochs=8, resume=resume)
        return outcome, sha256_of_tensors(model.state_dict())

    whole, weights = trained(None)
    assert steps["done"] == 48
    draws = random.Random(3)
    for number in range(6):
        path, at = tmp_path / f"r{number}", draws.randrange(1, 48)
        steps |= {"done": 0, "until": at}
        with pytest.raises(Killed):
            trained(ResumeFile(path, "x", **interval))
        assert steps["done"] == at
        steps["until"] = None
        outcome, again = trained(ResumeFile(path, "x", **interval))
        redone = steps["done"] - 48
        assert 0 <= redone <= longest
        assert again == weights
        assert outcome.resumes == (1 if path.exists() and redone < at else 0)
        assert [r["train_loss"] for r in outcome.history] == [
            r["train_loss"] for r in whole.history
        ]


def saved(path):
    """Where in the training the resume file that is there now was written; None without one."""
    try:
        # One open: the file may be replaced at any time.
        with open(path, "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    except FileNotFoundError:
        return None
    return json.loads(header["__metadata__"]["metadata"])["state"]


def being_written(path):
    """The process that has begun to write ``path``, stopped in the middle of it."""
    for part in path.parent.glob(f".{path.name}.*.part"):
        process = int(part.name.split(".")[-2])
        try:
            os.kill(process, signal.SIGSTOP)
        except ProcessLookupError:
            continue
        if part.exists():
            return process
        os.kill(process, signal.SIGCONT)
    return None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of the study that nobody killed."""
    clone = Clone(tmp_path_factory.mktemp("whole"), study=LONG)
    clone.make(f"{clone.run_of('weight_rewinding')}/metrics.json")
    return clone


def job_of(process, script):
    """The Python process that runs a script for a Snakemake without warm processes."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                ours = os.getsid(int(folder.name)) == process.pid
            except OSError:
                continue
            if ours and words[1:2] == [f"workflow/scripts/{script}.py".encode()]:
                return int(folder.name)
    return None


def said(log):
    """What a job has said; Snakemake removes the log before it starts the job."""
    with contextlib.suppress(FileNotFoundError):
        return log.read_text()
    return ""


def same(one, other, run):
    assert one.history(run) == other.history(run)
    a, b = one.metrics(run), other.metrics(run)
    assert a["weights_sha256"] == b["weights_sha256"]
    times = {"seconds", "images_per_second", "resumes", "started", "ended", "sha256"}
    for metrics in (a, b):
        metrics["fingerprints"].pop("history")
    assert {k: v for k, v in a.items() if k not in times} == {
        k: v for k, v in b.items() if k not in times
    }


def test_killed_jobs_and_a_killed_snakemake_change_no_bit(tmp_path, whole):
    need(Path("/proc/self/environ").exists(), "kills by /proc")
    # A save every few milliseconds, so that a kill meets one.
    clone = Clone(tmp_path, study=LONG, resume={"minutes": 1e-5, "epochs": 1})
    run = clone.run_of("weight_rewinding")
    target = f"{run}/metrics.json"
    pretraining = clone.root / ".resume/pretrain/digits/vgg5/seed0/clean.safetensors"
    retraining = clone.root / f".resume/{run}.safetensors"

    process = clone.start(target, options=["--retries", "3"])
    # The first is killed while it writes its resume file, and Snakemake tries again.
    wait_for(lambda: saved(pretraining))
    kill(wait_for(lambda: being_written(pretraining)))
    wait_for(lambda: (clone.root / PRETRAINING / "metrics.json").exists())
    before = wait_for(lambda: saved(retraining))
    wait_for(lambda: saved(retraining)["epoch"] > before["epoch"] + 2)
    # Then everything is killed at once, and the next call needs no --unlock.
    kill_all(process)
    state = load_tensors(retraining)[1]["state"]
    assert state["epoch"] > 2
    assert not (clone.root / target).exists()

    clone.make(target, options=["--retries", "3"])
    log = clone.root / "logs/retrain/digits/vgg5/weight_rewinding/none/sparsity0.8/seed0.log"
    assert f"goes on at epoch {state['epoch']}, step {state['step']}" in log.read_text()
    assert clone.metrics(PRETRAINING)["resumes"] == clone.metrics(run)["resumes"] == 1
    same(clone, whole, PRETRAINING)
    same(clone, whole, run)
    for name in ("trained", "epoch1"):
        path = f"{PRETRAINING}/{name}.safetensors"
        assert (clone.root / path).read_bytes() == (whole.root / path).read_bytes()
        assert recorded(str(clone.root / path))
    assert not [p for p in clone.root.rglob("*") if p.suffix == ".part"]
    assert not pretraining.exists() and not retraining.exists()


def test_told_to_stop_orphaned_or_asked_again(tmp_path, whole):
    """Without warm processes, whose server ends the jobs of a dead Snakemake."""
    clone = Clone(tmp_path, study=LONG, warm_processes=False, resume={"minutes": 5, "epochs": 1})
    run = clone.run_of("weight_rewinding")
    target = f"{run}/metrics.json"
    log = clone.root / "logs/retrain/digits/vgg5/weight_rewinding/none/sparsity0.8/seed0.log"
    saves = {
        "pretrain": clone.root / ".resume/pretrain/digits/vgg5/seed0/clean.safetensors",
        "retrain": clone.root / f".resume/{run}.safetensors",
    }

    # A job is told to stop: it goes on by itself, in the same call.
    process = clone.start(target)
    wait_for(lambda: saved(saves["pretrain"]))
    os.kill(job_of(process, "pretrain"), signal.SIGTERM)
    # Then Snakemake alone dies. Its job lives on, and that of the next call waits for it.
    wait_for(lambda: saved(saves["retrain"]))
    orphan = job_of(process, "retrain")
    kill(process.pid)
    process.wait()
    os.kill(orphan, signal.SIGSTOP)
    process.stdout.close()
    second = clone.start(target)
    wait_for(lambda: f"waits: process {orphan} on" in said(log))
    os.kill(orphan, signal.SIGCONT)
    text, _ = second.communicate(timeout=300)
    assert second.returncode == 0, text
    assert "epochs" not in log.read_text(), "the orphan's result is taken back"
    assert clone.metrics(PRETRAINING)["resumes"] == 1 and clone.metrics(run)["resumes"] == 0

    # Asked for again, or deleted, a result is made again.
    (clone.root / target).unlink()
    clone.make(target)
    assert "epochs" in log.read_text()
    process = clone.start(target, options=["--forcerun", "retrain"])
    wait_for(lambda: saved(saves["retrain"]))
    # Held in the middle of its training. Ctrl-C reaches them all and ends them all.
    job = job_of(process, "retrain")
    os.kill(job, signal.SIGSTOP)
    os.killpg(process.pid, signal.SIGINT)
    os.kill(job, signal.SIGCONT)
    process.communicate(timeout=60)
    assert process.returncode == 1 and not (clone.root / target).exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    clone.make(target)
    assert clone.metrics(run)["resumes"] == 1
    same(clone, whole, PRETRAINING)
    same(clone, whole, run)
    assert not list(clone.root.joinpath(".resume").rglob("*.lock"))


def test_the_jobs_of_a_dead_snakemake_save_themselves_and_end(tmp_path):
    """Those of the warm server; no shell starts its job again."""
    experiment = {"tickets": ["random"], "sparsities": [0.8], "seeds": [0, 1]}
    training = {"epochs": 5000, "crop_padding": 1, "flip": False}
    study = {"training": training, "experiments": [experiment]}
    clone = Clone(tmp_path, study=study, resume={"minutes": 5, "epochs": 1})
    runs = [clone.run_of("random"), clone.run_of("random").replace("seed0", "seed1")]
    process = clone.start(*(f"{run}/metrics.json" for run in runs), cores=2)
    saves = [clone.root / f".resume/{run}.safetensors" for run in runs]

    def at_work():
        """Processes whose command names this study's results."""
        found = [p for p in Path("/proc").iterdir() if p.name.isdigit()]
        return [p for p in found if str(clone.root) in _command(p)]

    wait_for(lambda: all(map(saved, saves)))
    assert len(at_work()) > 2
    owner = f"JACKPOT_WARM_OWNER={process.pid}\0".encode()
    server = next(
        p
        for p in Path("/proc").iterdir()
        if p.name.isdigit() and "--serve" in _command(p) and owner in (p / "environ").read_bytes()
    )
    slow = int((server / "task" / server.name / "children").read_text().split()[0])
    # One is slow to save itself; the other's shell has the time to ask the server once more.
    os.kill(slow, signal.SIGSTOP)
    kill(process.pid)
    process.wait()
    time.sleep(4)
    os.kill(slow, signal.SIGCONT)
    wait_for(lambda: not at_work(), 20)
    assert all(map(saved, saves)) and not list(clone.root.rglob("runs/**/metrics.json"))


def _command(process):
    with contextlib.suppress(OSError):
        return (process / "cmdline").read_text(errors="replace")
    return ""
