"""The study on a real Slurm: cancelled, timed out, requeued, restarted, and the same bits."""

import shutil
import time

import pytest

from tests.support.slurm_study import COLLECTED, TICKETS, TOGETHER, amid, check

pytestmark = [pytest.mark.slurm, pytest.mark.workflow]


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
