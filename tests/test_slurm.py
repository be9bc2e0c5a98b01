"""The study on a real Slurm: submitted, cancelled, timed out, restarted; and dry runs in bulk."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.conftest import need
from tests.slurm import Cluster, wait_until

ROOT = Path(__file__).parent.parent
SNAKEMAKE = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
STUDY = """
name: small
datasets: {digits: {kind: digits, test_fraction: 0.5}}
models: {vgg5: {width: 4}}
training: {epochs: 60, batch_size: 16, crop_padding: 1, flip: false}
resources:
  retrain: {runtime: 1, mem_mb: 700, gpu: 1}
  pretrain: {gres: "gpu:1", slurm_partition: gpu}
experiments:
  - {tickets: [dense, random], sparsities: [0.8, 0.9], seeds: [0]}
"""
QUICK = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "20"]
TOGETHER = ["--group-components", "light=100", "pretrain=10", "prune=50", "retrain=50"]


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
        for name in ("workflow", "envs", "config.yaml"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "study.yaml").write_text(study)

    def start(self, *more):
        profile = ["--workflow-profile", "workflow/profiles/slurm", *QUICK, *more]
        log = open(self.folder / "head.log", "a")  # noqa: SIM115
        return subprocess.Popen(
            [*SNAKEMAKE, *profile, "--config", "study=study.yaml", "resume={epochs: 1}"],
            cwd=self.folder,
            env=self.cluster.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def run(self, *more):
        process, deadline = self.start(*more), time.monotonic() + 280
        try:
            while process.poll() is None and time.monotonic() < deadline:
                # Without accounting, only a job that is still known tells of its GPUs.
                self.seen += self.cluster.ask("scontrol", "show", "job", "-o").splitlines()
                time.sleep(1)
            assert process.poll() == 0, self.log()[-4000:]
        finally:
            process.kill()
            process.wait()

    def log(self):
        return (self.folder / "head.log").read_text()

    def results(self):
        found = sorted(self.folder.glob("results/small/runs/**/metrics.json"))
        return {str(path.relative_to(self.folder)): json.loads(path.read_text()) for path in found}

    def weights(self):
        return {path: metrics["weights_sha256"] for path, metrics in self.results().items()}

    def training(self):
        """The resume file of a ticket that is being trained."""
        return list(self.folder.glob("results/small/.resume/runs/**/*.safetensors"))

    def slurm_jobs(self):
        """The cluster's jobs that run a ticket's training now."""
        lines = self.cluster.ask("squeue", "-h", "-t", "R", "-o", "%i %k").splitlines()
        return [line.split()[0] for line in lines if "retrain" in line]


@pytest.fixture(scope="module")
def reference(cluster, tmp_path_factory):
    head = Head(cluster, tmp_path_factory.mktemp("reference"))
    head.run(*TOGETHER)
    return head


def test_a_study_runs_under_slurm_with_the_resources_asked_for(cluster, reference):
    assert (reference.folder / "results/small/report.html").stat().st_size > 10_000
    assert len(reference.results()) == 3
    jobs = cluster.finished()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    # One job for the data and initial weights, one each to pretrain, to prune and to retrain.
    assert len(jobs) == 4
    retrain = next(job for job in jobs if "mem=700M" in job["Tres"])
    assert retrain["TimeLimit"] == "2" and retrain["Partition"] == "short"
    assert "cpu=1," in retrain["Tres"]
    pretrain = next(job for job in jobs if job["Partition"] == "gpu")
    assert "mem=4000M" in pretrain["Tres"]
    asked = [line for line in reference.seen if "_retrain" in line]
    assert asked and all("TresPerJob=gres:gpu:1" in line for line in asked)
    assert any("pretrain" in line and "TresPerNode=gres:gpu:1" in line for line in reference.seen)


def test_a_disturbed_study_ends_with_the_same_bits(cluster, reference, tmp_path):
    head = Head(cluster, tmp_path)
    process = head.start("--groups", "retrain=retrain")
    # A job is cancelled mid-training: it is submitted again and goes on.
    wait_until(lambda: len(head.training()) == 2, "no training saves itself", 120)
    first, *_ = head.slurm_jobs()
    cluster.ask("scancel", first)
    wait_until(lambda: first not in head.slurm_jobs() and head.slurm_jobs(), "not again", 60)
    # The head process dies without a word; its jobs stay in the queue.
    process.send_signal(signal.SIGKILL)
    process.wait()
    # Its node's daemon is stopped and started.
    cluster.stop_slurmd()
    cluster.start_slurmd()
    # The recipe: let the queue run empty or cancel what is in it, unlock, start again.
    cluster.ask("scancel", "--user", "root")
    wait_until(lambda: not cluster.ask("squeue", "-h"), "the queue is not empty", 60)
    done = {path: (head.folder / path).read_bytes() for path in head.results()}
    subprocess.run(
        [*SNAKEMAKE, "--unlock", "--config", "study=study.yaml"], cwd=tmp_path, check=True
    )
    head.run()
    assert head.weights() == reference.weights()
    assert {path: (head.folder / path).read_bytes() for path in done} == done
    resumes = [metrics["resumes"] for metrics in head.results().values()]
    assert max(resumes) > 0
