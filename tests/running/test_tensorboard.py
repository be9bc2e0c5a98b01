"""Event files: GraSP's tags, history.csv's numbers, and the same bits as without them."""

import csv
import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jackpot.cli import add_training, parser_of
from jackpot.running.tensorboard import write_events
from jackpot.study import Plan, load_config, load_study
from tests.support.scripts import retrain
from tests.support.small import make_ticket
from tests.support.studies import written


def events(folder):
    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def test_a_run_writes_grasps_tags_beside_its_history_and_keeps_its_bits(tmp_path, warm):
    make_ticket(tmp_path)
    digests = []
    for name, options in (("without", []), ("with", ["--tensorboard"])):
        status, text = retrain(warm, tmp_path, name, *options)
        assert status == 0, text
        digests.append(json.loads((tmp_path / name / "metrics.json").read_text()))
    assert digests[0]["weights_sha256"] == digests[1]["weights_sha256"]
    assert not (tmp_path / "without" / "tensorboard").exists()
    with open(tmp_path / "with" / "history.csv") as file:
        history = list(csv.DictReader(file))
    found = events(tmp_path / "with" / "tensorboard")
    # As GraSP's main_prune_non_imagenet.py names them.
    tags = {"train/lr": "lr", "train/loss": "train_loss", "train/acc": "train_accuracy"}
    tags |= {"test/loss": "test_loss", "test/acc": "test_accuracy"}
    assert set(found) == {f"iter_0/{tag}" for tag in tags}
    for tag, column in tags.items():
        expected = [(step, float(row[column])) for step, row in enumerate(history)]
        assert [step for step, _ in found[f"iter_0/{tag}"]] == [0, 1, 2]
        for (_, value), (_, wanted) in zip(found[f"iter_0/{tag}"], expected, strict=True):
            assert value == pytest.approx(wanted, rel=1e-6)


def test_written_again_it_replaces_and_leaves_out_what_is_missing(tmp_path):
    columns = "epoch,lr,train_loss,train_accuracy,test_loss,test_accuracy,seconds\n"
    for loss in ("2.5", "1.5"):
        rows = f"41,0.1,{loss},50,,12.5,1\n"
        (tmp_path / "history.csv").write_text(columns + rows)
        write_events(tmp_path)
    found = events(tmp_path / "tensorboard")
    assert found["iter_0/train/loss"] == [(40, 1.5)]
    assert "iter_0/test/loss" not in found


@pytest.mark.parametrize("asked", [False, True])
def test_the_environment_asks_for_it_so_that_asking_reruns_nothing(tmp_path, monkeypatch, asked):
    monkeypatch.setenv("JACKPOT_TENSORBOARD", "1" if asked else "")
    parser = parser_of("")
    add_training(parser)
    assert parser.parse_args([]).tensorboard == asked
    study = load_study(written(tmp_path, logging={"tensorboard": asked}))
    plan = Plan(study, load_config({}))
    ticket = plan.retrain("digits", "vgg5", "snip", "none", "0.9", "0")
    for job in (ticket, plan.pretrain("digits", "vgg5", "0", "clean")):
        assert "tensorboard" not in job.options
