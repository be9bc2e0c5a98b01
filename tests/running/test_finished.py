"""Finished cells of a failed group are taken back, if they are whole and of today's making."""

import argparse
import json
import shutil

import pytest
import torch

from jackpot.running.finished import keep_finished, restore, train_or_restore
from jackpot.running.links import forget_all_links
from jackpot.stages.retrain import retrain
from tests.support.small import FAST, RUN, make_ticket


def finished(tmp_path):
    """A finished run, kept under a second name, whose outputs Snakemake then deleted."""
    paths, out = make_ticket(tmp_path), tmp_path / "runs" / "cell"
    retrain(
        out,
        run=RUN,
        clean=paths["clean"],
        weights=paths["init"],
        mask=paths["mask"],
        settings=FAST,
        epochs=1,
        first_epoch=0,
        device=torch.device("cpu"),
        keep_weights=True,
        fingerprint="today",
    )
    resume = str(tmp_path / ".resume" / "cell.safetensors")
    keep_finished(out, resume)
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    shutil.rmtree(out)
    return out, resume, before


def test_a_finished_cell_is_taken_back_byte_for_byte(tmp_path):
    out, resume, before = finished(tmp_path)
    assert restore(out, resume, "today", ["weights.safetensors"])
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert json.loads(before["metrics.json"])["fingerprints"]["run"] == "today"


def test_one_of_other_settings_is_not(tmp_path):
    out, resume, _ = finished(tmp_path)
    assert not restore(out, resume, "tomorrow")
    assert not restore(out, None, "today")
    assert not out.exists()


@pytest.mark.parametrize("name", ["metrics.json", "history.csv", "weights.safetensors"])
def test_a_damaged_one_is_not(tmp_path, name):
    out, resume, before = finished(tmp_path)
    file = tmp_path / ".resume" / "cell.finished" / name
    file.write_bytes(before[name][:-2] + bytes([before[name][-2] ^ 1]) + before[name][-1:])
    assert not restore(out, resume, "today", ["weights.safetensors"])
    assert not out.exists()


@pytest.mark.parametrize("spared", [False, True])
def test_a_training_is_done_once_unless_its_weights_are_spared(tmp_path, monkeypatch, spared):
    monkeypatch.setenv("JACKPOT_KEEP_INTERMEDIATE", str(int(not spared)))
    out, resume, before = finished(tmp_path)
    before["trained.safetensors"] = before.pop("weights.safetensors")
    shutil.rmtree(tmp_path / ".resume")
    args = argparse.Namespace(out=out, resume_file=resume, fingerprint="today", tensorboard=False)
    calls = []

    def training():
        calls.append(out.mkdir(parents=True))
        for name, content in before.items():
            (out / name).write_bytes(content)
        keep_finished(out, resume)

    for _ in range(2):
        train_or_restore(args, training, ["trained.safetensors"])
        assert {file.name: file.read_bytes() for file in out.iterdir()} == before
        shutil.rmtree(out)
    assert len(calls) == (2 if spared else 1)


def test_a_collected_study_keeps_no_links(tmp_path):
    _, resume, _ = finished(tmp_path)
    forget_all_links(tmp_path)
    assert not restore(tmp_path / "out", resume, "today")
    assert not list((tmp_path / ".resume").iterdir())
