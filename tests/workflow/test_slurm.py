"""The study on a real Slurm: submitted, cancelled, timed out, requeued, restarted."""

import contextlib
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from jackpot.files.tensors import load_tensors
from tests.support import ROOT, need, snake
from tests.support.processes import held_when, kill, let_go, running, wait_for
from tests.support.slurm import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.workflow]
SNAKEFILE = ["--snakefile", ROOT / "Snakefile"]
EPOCHS = 25
STUDY = """
name: small
datasets: {digits: {kind: digits, test_fraction: 0.5}}
models: {vgg5: {width: 4}}
training: {epochs: EPOCHS, batch_size: 16, crop_padding: 1, flip: false}
resources:
  retrain: {runtime: 1, mem_mb: 700, gpu: 1}
  pretrain: {gres: "gpu:1", slurm_partition: gpu}
experiments:
  - {tickets: [dense, random], sparsities: [0.8, 0.9], seeds: [0, 1]}
""".replace("EPOCHS", str(EPOCHS))
QUICK = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "20"]
TOGETHER = ["--group-components", "light=100", "pretrain=10", "prune=50", "retrain=50"]
# Up to where the page is made, which is the same everywhere.
COLLECTED = ["--until", "collect"]
# Where the results of a stage's trainings are; a dense run is a copy of its pretraining.
TICKETS = "runs/*/*/random"


@pytest.fixture(scope="module")
def cluster():
    there = all(map(shutil.which, ("slurmctld", "slurmd", "munged")))
    need(there and os.geteuid() == 0, "needs Debian's slurm-wlm and munge, and root")
    # munged's user must be able to reach its socket, which pytest's own folders do not allow.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        cluster = Cluster(Path(folder) / "slurm")
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


class Head:
    """A working folder from which the study is run."""

    def __init__(self, cluster, folder, study=STUDY):
        self.cluster, self.folder, self.seen = cluster, folder, []
        self.process, self.results = None, folder / "results" / "small"
        for name in ("workflow", "envs", "config.yaml"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "study.yaml").write_text(study)

    def start(self, *more):
        profile = ["--workflow-profile", "workflow/profiles/slurm", *QUICK, *more]
        config = ["study=study.yaml", "resume={epochs: 1}"]
        with open(self.folder / "head.log", "a") as log:
            self.process = snake.start(
                self.folder,
                *(*SNAKEFILE, *profile, "--config", *config),
                environment=self.cluster.environment,
                output=log,
            )

    def finish(self, status=0):
        deadline = time.monotonic() + 500
        while self.process.poll() is None and time.monotonic() < deadline:
            # Without accounting, only a job that is still known tells of its GPUs.
            self.seen += self.cluster.ask("scontrol", "show", "job", "-o").splitlines()
            time.sleep(1)
        assert self.process.poll() == status, self.log()[-4000:]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.cluster.empty()

    def log(self):
        return (self.folder / "head.log").read_text()

    def done(self, stage=TICKETS):
        """Every result that is there, as it is on the disk: inode and bytes, by path."""
        files = sorted(self.results.glob(f"{stage}/**/metrics.json"))
        return {str(f.relative_to(self.results)): (f.stat().st_ino, f.read_bytes()) for f in files}

    def metrics(self, stage=TICKETS):
        return {path: json.loads(content) for path, (_, content) in self.done(stage).items()}

    def digests(self, stage=TICKETS):
        """The final weights' digests, by path."""
        return {path: said["weights_sha256"] for path, said in self.metrics(stage).items()}

    def half_done(self):
        """Whether a training has saved itself and still has a good part of its epochs to do."""
        files = self.results.glob(".resume/**/*.safetensors")
        # A finished training keeps its weights in a folder of that ending.
        saved = [load_tensors(file)[1] for file in files if file.parent.suffix != ".finished"]
        return any(metadata["state"]["epoch"] <= EPOCHS // 2 for metadata in saved)

    def training(self):
        """The warm server of the job that runs, and the training below it."""
        found = running(
            lambda process: process.cwd() == str(self.folder) and "--serve" in process.cmdline()
        )
        return found if len(found) == 2 else []

    def jobs(self, state="R"):
        """The cluster's jobs in a state."""
        return self.cluster.ask("squeue", "-h", "-t", state, "-o", "%i").split()


@pytest.fixture(scope="module")
def reference(cluster, tmp_path_factory):
    """The undisturbed study."""
    head = Head(cluster, tmp_path_factory.mktemp("reference"))
    head.start(*TOGETHER)
    try:
        head.finish()
        yield head
    finally:
        head.stop()


@pytest.fixture
def head(cluster, reference, tmp_path):
    """A study whose tickets are still to be trained."""
    head = Head(cluster, tmp_path)
    but_runs = shutil.ignore_patterns("runs*")
    shutil.copytree(reference.results, head.results, ignore=but_runs)
    shutil.copytree(reference.folder / "data", tmp_path / "data")
    yield head
    head.stop()


@contextlib.contextmanager
def amid(head, stage=TICKETS, survives=False):
    """While a training of a job is finished and another one is half done, both held still.

    Args:
        survives: the job goes on after the disturbance. Otherwise it is waited for until Slurm has
            ended it, which here reaches the batch script's Snakemake. What that leaves is killed,
            as a cluster does that tracks processes by control groups.

    Yields:
        what is finished, and the job's number.
    """
    held = held_when(
        head.training,
        lambda: head.done(stage) and head.half_done(),
        lambda: f"too early or too late to disturb: {head.log()}",
    )
    owner = psutil.Process(int(held[0].environ()["JACKPOT_WARM_OWNER"]))
    done, (job,) = head.done(stage), head.jobs()
    try:
        yield done, job
        # Slurm looks at the limits every 30 s.
        survives or wait_for(lambda: not running(owner.__eq__), "the job does not end")
    finally:
        (let_go if survives else kill)(held)


def check(head, reference, done, stage=TICKETS, resumed=True):
    """The study is finished, nothing was done twice, and its bits are the undisturbed one's."""
    head.finish()
    assert head.digests(stage) == reference.digests(stage)
    assert done.items() <= head.done(stage).items(), "finished trainings were done again"
    assert any(said["resumes"] for said in head.metrics(stage).values()) == resumed


def test_a_study_runs_under_slurm_with_the_resources_asked_for(cluster, reference):
    assert (reference.results / "report.html").stat().st_size > 10_000
    assert len(reference.done()) == 4
    jobs = cluster.finished()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    # One job for the data and initial weights, one each to pretrain, to prune and to retrain.
    assert len(jobs) == 4
    retrain = next(job for job in jobs if "mem=700M" in job["Tres"])
    assert retrain["TimeLimit"] == "4" and retrain["Partition"] == "short"
    assert "cpu=1," in retrain["Tres"]
    pretrain = next(job for job in jobs if job["Partition"] == "gpu")
    assert "mem=4000M" in pretrain["Tres"]
    asked = [line for line in reference.seen if "_retrain" in line]
    assert asked and all("TresPerJob=gres:gpu:1" in line for line in asked)
    assert any("pretrain" in line and "TresPerNode=gres:gpu:1" in line for line in reference.seen)


def in_one_job(prefix=""):
    """Options for one job of all cells."""
    stages = ("prepare", "initialise", "pretrain", "prune", "retrain")
    groups = [f"{prefix}{stage}=all" for stage in stages]
    return ["--groups", *groups, "--group-components", "all=100"]


def test_another_workflow_runs_ours_under_slurm(cluster, tmp_path):
    """Under the names that it gives our rules: what takes seconds is no job of the cluster."""
    before = len(cluster.finished())
    experiments = [{"tickets": ["dense", "random"], "sparsities": [0.8, 0.9], "seeds": [0]}]
    snake.write_outer(tmp_path, ROOT, json.dumps({**snake.STUDY, "experiments": experiments}))
    profile = ["--workflow-profile", ROOT / "workflow" / "profiles" / "slurm", *QUICK]
    options = [*profile, *in_one_job("jackpot_")]
    text = snake.succeed(tmp_path, *options, environment=cluster.environment)
    assert (tmp_path / "out" / "count.txt").read_text().strip() == "4", text
    assert len(cluster.finished()) - before == 1, text


def test_one_call_makes_every_look(cluster, tmp_path):
    """Each look's cells are jobs of the cluster, and so is the next look's."""
    # With two seeds nothing is decided at this level.
    study = STUDY.replace("tickets: [dense, random]", "tickets: [snip], checks: [rearranged]")
    study = study.replace("[0.8, 0.9], seeds: [0, 1]", "[0.8]").replace(
        f"epochs: {EPOCHS}", "epochs: 2"
    )
    head = Head(cluster, tmp_path, study + "statistics: {margin: 60, alpha: 0.002, looks: [2, 3]}")
    try:
        # Between two jobs the plugin waits longer than these jobs take: one a look.
        head.start(*in_one_job())
        head.finish()
    finally:
        head.stop()
    looks = [json.loads(file.read_text())["look"] for file in head.results.glob("looks/*")]
    assert sorted(looks) == [1, 2], head.log()
    assert len(head.done("runs/*/*/snip")) == 6 and "look 2 of 2" in head.log()
    assert (head.results / "report.html").exists()


@pytest.mark.parametrize("stage", ["weights", TICKETS], ids=["pretrain", "retrain"])
def test_a_job_is_cancelled(head, cluster, reference, stage):
    if stage == "weights":
        for pretrained in head.results.glob("weights/*/*/*/clean"):
            shutil.rmtree(pretrained)
    head.start(*TOGETHER, "--until", "pretrain" if stage == "weights" else "collect")
    with amid(head, stage) as (done, job):
        cluster.ask("scancel", job)
    check(head, reference, done, stage)
    assert cluster.states(job) == ["CANCELLED"]
    # Pretrained weights are among what was taken back.
    trained, expected = (
        {str(file.relative_to(one.results)): file.read_bytes() for file in files}
        for one in (head, reference)
        for files in [one.results.glob("weights/**/trained.safetensors")]
    )
    assert trained == expected != {}


def test_a_failed_cell_is_reported_and_its_neighbours_are_done(head, cluster, reference):
    """Two at a time, in one job."""
    mask = next(head.results.glob("masks/**/seed0/sparsity0.8.safetensors"))
    mask.write_bytes(mask.read_bytes()[:-1] + b"?")
    head.start(*TOGETHER, *COLLECTED, "--resources", "slot=2", "--restart-times", "0")
    head.finish(status=1)
    failed = f"{TICKETS}/none/sparsity0.8/seed0/metrics.json".replace("*/*", "digits/vgg5")
    assert reference.digests().items() - head.digests().items() == {
        (failed, reference.digests()[failed])
    }
    assert f"{mask.name}: damaged" in head.log()
    job = cluster.finished()[-1]
    assert job["JobState"] == "FAILED" and job["TimeLimit"] == "2" and "cpu=2," in job["Tres"]
    (said,) = head.folder.glob(".snakemake/slurm_logs/**/*.log")
    assert "Execute 2 jobs..." in said.read_text()


def test_what_slurm_says_of_a_job_that_it_refuses_is_told(head):
    head.start(
        *COLLECTED, "--restart-times", "0", "--set-resources", "retrain:slurm_partition=nowhere"
    )
    head.finish(status=1)
    failed = head.log().partition("What failed:")[2]
    assert "invalid partition" in failed and "retrain" in failed, head.log()[-4000:]


def test_a_job_reaches_its_time_limit(head, cluster, reference):
    head.start(*TOGETHER, *COLLECTED)
    with amid(head) as (done, job):
        cluster.ask("scontrol", "update", f"JobId={job}", "EndTime=now")
    check(head, reference, done)
    assert cluster.states(job) == ["TIMEOUT"]


def test_slurmd_is_stopped_and_started(head, cluster, reference):
    """Of two jobs that need both GPUs, one runs and one waits; neither notices."""
    both = ["--set-resources", "retrain:gpu=2", "--group-components", "retrain=2"]
    head.start(*both, *COLLECTED)
    with amid(head, survives=True) as (done, job):
        assert len(head.jobs("PD")) == 1
        cluster.stop_slurmd()
        time.sleep(2)
        assert head.jobs("R,CG") == [job] and head.process.poll() is None
        cluster.start_slurmd()
    check(head, reference, done, resumed=False)
    assert cluster.states(job) == ["COMPLETED"]


def test_a_job_is_requeued(head, cluster, reference):
    head.start(*TOGETHER, *COLLECTED)
    with amid(head) as (done, job):
        cluster.ask("scontrol", "requeue", job)
    check(head, reference, done)
    assert cluster.states(job)[-1] == "COMPLETED"
    assert head.log().count("has been submitted") == 1


def test_the_head_process_is_killed(head, cluster, reference):
    """The recipe: cancel what is in the queue, start again."""
    head.start(*TOGETHER, *COLLECTED)
    with amid(head) as (done, job):
        head.process.kill()
        head.process.wait()
        cluster.empty()
    head.start(*TOGETHER, *COLLECTED)
    check(head, reference, done)
    assert cluster.states(job) == ["CANCELLED"]
