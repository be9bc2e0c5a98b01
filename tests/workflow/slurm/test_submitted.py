"""The study on a real Slurm: submitted as it asks for, look by look, and what fails is told."""

import json

import pytest

from tests.support import ROOT, snake
from tests.support.slurm_study import COLLECTED, EPOCHS, QUICK, STUDY, TICKETS, TOGETHER, Head

pytestmark = [pytest.mark.slurm, pytest.mark.workflow]


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
