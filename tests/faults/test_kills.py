"""Trainings that are killed under Snakemake end with the bits of those that were not."""

import contextlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from jackpot.files.tensors import load_tensors, sha256_of_tensors
from jackpot.fingerprints import recorded
from jackpot.models import load_model
from jackpot.running.arguments import resume_path
from jackpot.settings import Training
from jackpot.training import engine
from jackpot.training.results import load_splits
from jackpot.training.resume import ResumeFile
from tests.support import need
from tests.support.processes import held_when, kill, let_go, running, wait_for
from tests.support.small import make_ticket
from tests.support.snake import Clone, kill_all

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
LONG = {
    "training": {"epochs": 12, "crop_padding": 1, "flip": False},
    "experiments": [{"tickets": ["weight_rewinding"], "sparsities": [0.8], "seeds": [0]}],
}
PRETRAINING = "weights/digits/vgg5/seed0/clean"


def saved_at(clone, run):
    """Where a training of the clone saves itself on this machine."""
    place = run.replace("weights/", "pretrain/")
    return resume_path(clone.root / f".resume/{place}.safetensors", torch.device("cpu"))


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
    return load_tensors(path)[1]["state"] if path.exists() else None


def begun(path):
    """Whether a file is being written."""
    return any(path.parent.glob(f".{path.name}.*.part"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of the study that nobody killed."""
    clone = Clone(tmp_path_factory.mktemp("whole"), study=LONG)
    clone.make(f"{clone.run_of('weight_rewinding')}/metrics.json")
    return clone


def jobs(process, script):
    """The Python processes that run a script for a Snakemake: ordinary ones, or warm forks."""

    def is_job(member):
        words = member.cmdline()
        if os.getsid(member.pid) == process.pid:
            return words[1:2] and words[1].endswith(f"workflow/scripts/{script}.py")
        # A fork is called as its server is.
        parent = member.parent()
        return (
            "--serve" in words
            and member.environ().get("JACKPOT_WARM_OWNER") == str(process.pid)
            and parent is not None
            and parent.cmdline() == words
        )

    return running(is_job)


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


@pytest.mark.workflow
def test_killed_jobs_and_a_killed_snakemake_change_no_bit(tmp_path, whole):
    need(Path("/proc/self/environ").exists(), "kills by /proc")
    # A save every few milliseconds, so that a kill meets one.
    clone = Clone(tmp_path, study=LONG, resume={"minutes": 1e-5, "epochs": 1})
    run = clone.run_of("weight_rewinding")
    target = f"{run}/metrics.json"
    pretraining = saved_at(clone, PRETRAINING)
    retraining = saved_at(clone, run)

    process = clone.start(target, options=["--retries", "3"])

    # The first is killed while it writes its resume file, and Snakemake tries again.
    def amid_a_save():
        return saved(pretraining) and begun(pretraining)

    kill(held_when(lambda: jobs(process, "pretrain"), amid_a_save))
    wait_for(lambda: (clone.root / PRETRAINING / "metrics.json").exists())

    # Then everything is killed at once, and the next call needs no --unlock.
    def half_done():
        return saved(retraining) and 3 < saved(retraining)["epoch"] < 10

    held_when(lambda: jobs(process, "retrain"), half_done)
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


@pytest.mark.workflow
def test_told_to_stop_orphaned_or_asked_again(tmp_path, whole):
    """Without warm processes, whose server ends the jobs of a dead Snakemake."""
    clone = Clone(tmp_path, study=LONG, warm_processes=False, resume={"minutes": 5, "epochs": 1})
    run = clone.run_of("weight_rewinding")
    target = f"{run}/metrics.json"
    log = clone.root / "logs/retrain/digits/vgg5/weight_rewinding/none/sparsity0.8/seed0.log"
    saves = {
        "pretrain": saved_at(clone, PRETRAINING),
        "retrain": saved_at(clone, run),
    }

    def amid(script):
        """The job that runs a script, held still in the middle of its training."""
        return held_when(lambda: jobs(process, script), lambda: saved(saves[script]))

    # A job is told to stop: it goes on by itself, in the same call.
    process = clone.start(target)
    (job,) = amid("pretrain")
    job.terminate()
    let_go([job])
    # Then Snakemake alone dies. Its job lives on, and that of the next call waits for it.
    (orphan,) = amid("retrain")
    process.kill()
    process.wait()
    process.stdout.close()
    second = clone.start(target)
    wait_for(lambda: f"waits: process {orphan.pid} on" in said(log))
    let_go([orphan])
    text, _ = second.communicate(timeout=300)
    assert second.returncode == 0, text
    assert "epochs" not in log.read_text(), "the orphan's result is taken back"
    assert clone.metrics(PRETRAINING)["resumes"] == 1 and clone.metrics(run)["resumes"] == 0

    # Asked for again, or deleted, a result is made again.
    (clone.root / target).unlink()
    clone.make(target)
    assert "epochs" in log.read_text()
    process = clone.start(target, options=["--forcerun", "retrain"])
    # Ctrl-C reaches them all and ends them all.
    (job,) = amid("retrain")
    os.killpg(process.pid, signal.SIGINT)
    let_go([job])
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and not (clone.root / target).exists()
    assert "Nothing is lost: the same command goes on from here." in text
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    clone.make(target)
    assert clone.metrics(run)["resumes"] == 1
    same(clone, whole, PRETRAINING)
    same(clone, whole, run)
    assert not list(clone.root.joinpath(".resume").rglob("*.lock"))


@pytest.mark.workflow
def test_the_jobs_of_a_dead_snakemake_save_themselves_and_end(tmp_path):
    """Those of the warm server; no shell starts its job again."""
    experiment = {"tickets": ["random"], "sparsities": [0.8], "seeds": [0, 1]}
    training = {"epochs": 5000, "crop_padding": 1, "flip": False}
    study = {"training": training, "experiments": [experiment]}
    clone = Clone(tmp_path, study=study, resume={"minutes": 5, "epochs": 1})
    runs = [clone.run_of("random"), clone.run_of("random").replace("seed0", "seed1")]
    process = clone.start(*(f"{run}/metrics.json" for run in runs), cores=2)
    saves = [saved_at(clone, run) for run in runs]

    def at_work():
        """Processes whose command names this study's results."""
        return running(lambda process: str(clone.root) in " ".join(process.cmdline()))

    wait_for(lambda: all(map(saved, saves)))
    assert len(at_work()) > 2
    # One is slow to save itself; the other's shell has the time to ask the server once more.
    slow = jobs(process, "retrain")[:1]
    for job in slow:
        job.suspend()
    process.kill()
    process.wait()
    time.sleep(4)
    let_go(slow)
    wait_for(lambda: not at_work(), seconds=60)
    assert all(map(saved, saves)) and not list(clone.root.rglob("runs/**/metrics.json"))
