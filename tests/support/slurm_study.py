"""A study on a real Slurm, its head process, and how it is disturbed."""

import contextlib
import json
import time

import psutil

from jackpot.files.tensors import load_tensors
from tests.support import ROOT, snake
from tests.support.processes import held_when, kill, let_go, running, wait_for

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
