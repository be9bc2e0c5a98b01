"""Damage, inflicted for real: each ends in one message that names the file and the way out.

Nothing good is deleted and nothing bad is used. Full and closed disks are in test_disks.py, what a
server may send (HTML in place of an archive, cut files) in test_download.py, archives with other
contents in test_archives.py.
"""

import csv
import json
import os
import re
import shutil

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.files.atomic import write_json
from jackpot.files.tensors import load_mask, load_tensors, save_tensors
from jackpot.running.arguments import resume_path
from tests.support.damage import BYTES, cut, cut_the_end, empty, flip, html, something_else
from tests.support.scripts import retrain, run
from tests.support.snake import Clone


@pytest.mark.parametrize("damage", [*BYTES.values(), something_else], ids=[*BYTES, "other"])
@pytest.mark.parametrize("name", ["clean", "init", "mask"])
def test_a_damaged_input_is_named_and_nothing_is_trained(tmp_path, ticket, warm, name, damage):
    folder = tmp_path / "t"
    shutil.copytree(ticket, folder)
    path = folder / f"{name}.safetensors"
    damage(path)
    others = {p: p.read_bytes() for p in folder.glob("*.safetensors") if p != path}
    status, text = retrain(warm, folder)
    assert status == 1
    assert text.startswith(f"error: {path}: damaged or not what it should be (")
    assert "Delete this file, ask Snakemake for it by this path" in text
    assert not (folder / "out").exists() and not (folder / "executed").exists()
    assert others == {p: p.read_bytes() for p in others}


@pytest.mark.parametrize("name", ["clean", "init", "mask"])
def test_a_missing_input_is_named(tmp_path, ticket, warm, name):
    folder = tmp_path / "t"
    shutil.copytree(ticket, folder)
    path = folder / f"{name}.safetensors"
    path.unlink()
    status, text = retrain(warm, folder)
    assert (status, text) == (
        1,
        f"error: {path}: no such file. Ask Snakemake for it by this path.\n",
    )


def test_no_flipped_bit_of_a_file_goes_unnoticed(tmp_path):
    """Every byte: of lengths, header, metadata and tensors. Padding alone may change."""
    draws, path = torch.Generator().manual_seed(0), tmp_path / "f.safetensors"
    save_tensors(path, {"w": torch.rand(5, generator=draws)}, {"model": {"width": 16}, "seed": 1})
    good = path.read_bytes()
    tensors, metadata = load_tensors(path)
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        try:
            loaded, about = load_tensors(path)
        except JackpotError as error:
            said = str(error)
        else:
            # Padding of the header.
            said = str(path) if good[at : at + 1] == b" " else ""
            assert torch.equal(loaded["w"], tensors["w"]) and about == metadata
        assert str(path) in said


def test_the_same_contents_are_the_same_bytes(tmp_path):
    tensors, contents = {"w": torch.rand(9), "b": torch.ones(2)}, set()
    for number in range(12):
        path = tmp_path / str(number)
        save_tensors(path, tensors, {"seed": 1, "fingerprint": "x"})
        contents.add(path.read_bytes())
    assert len(contents) == 1


@pytest.mark.parametrize("damage", [*BYTES.values(), something_else], ids=[*BYTES, "other"])
def test_a_bad_resume_file_costs_its_interval_and_no_more(tmp_path, ticket, warm, damage):
    status, _ = retrain(warm, ticket, "whole")
    assert status == 0
    asked = tmp_path / "r.safetensors"
    resume = resume_path(asked, torch.device("cpu"))
    save_tensors(resume, {"loss": torch.rand(50)}, {"fingerprint": "other", "state": {}})
    damage(resume)
    status, text = retrain(warm, ticket, tmp_path / "out", "--resume-file", asked)
    assert status == 0 and f"{resume}: " in text and "training starts from its beginning" in text
    assert not (tmp_path / "executed").exists()
    one, other = (
        json.loads((f / "metrics.json").read_text()) for f in (ticket / "whole", tmp_path / "out")
    )
    assert one["weights_sha256"] == other["weights_sha256"] and other["resumes"] == 0
    assert not resume.exists()


# Results of a study, damaged before they are collected.


@pytest.fixture
def study(small_study):
    return small_study


def collect(warm, clone, results):
    place = ["--results-dir", results, "--data-dir", clone.folder / "data"]
    return run("collect", "--study", clone.folder / "study.yaml", *place, environment=warm)


def alter_accuracy(path):
    path.write_text(path.read_text().replace('"test_accuracy": ', '"test_accuracy": 1'))


def without_seal(path):
    values = json.loads(path.read_text())
    values["test_accuracy"] = 99.0
    del values["sha256"]
    write_json(path, values)


def alter_history(path):
    rows = list(csv.reader(path.open()))
    rows[1][5] = "99.5"
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")


def cut_a_line(path):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *(("metrics.json", d) for d in (cut, flip(0.5), empty, html, alter_accuracy, without_seal)),
        *(("history.csv", d) for d in (cut, cut_a_line, empty, html, alter_history)),
    ],
)
def test_a_damaged_result_is_named_and_the_others_stay(tmp_path, study, warm, file, damage):
    shutil.copytree(study.results, tmp_path / "r")
    status, text = collect(warm, study, tmp_path / "r")
    assert status == 0, text
    path = tmp_path / "r" / "small" / study.run_of("snip", "rearranged") / file
    damage(path)
    before = {p: p.read_bytes() for p in (tmp_path / "r").rglob("*") if p.is_file()}
    status, text = collect(warm, study, tmp_path / "r")
    assert status == 1 and text.startswith(f"error: {path}: damaged or not what it should be (")
    assert before == {p: p.read_bytes() for p in before}


def judge(warm, clone, runs):
    """Statistics of a runs.csv; nothing may be written of one that is refused."""
    out = runs.with_name("verdicts.csv")
    files = ["--runs", runs, "--out", out, "--study", clone.folder / "study.yaml"]
    status, text = run("verdicts", *files, environment=warm)
    assert out.exists() == (status == 0)
    return status, text


@pytest.mark.parametrize("damage", [cut_the_end, cut, empty])
def test_a_half_written_table_is_not_judged(tmp_path, study, warm, damage):
    runs = tmp_path / "runs.csv"
    shutil.copy(study.root / "runs.csv", runs)
    damage(runs)
    status, text = judge(warm, study, runs)
    assert status == 1 and text.startswith(f"error: {runs}: damaged")


def test_altered_words_about_the_study_are_not_printed(tmp_path, study, warm):
    about = tmp_path / "about.json"
    shutil.copy(study.root / about.name, about)
    about.write_text(about.read_text().replace('"digits"', '"cifar10"', 1))
    files = ["--about", about, "--out", tmp_path / "report.html"]
    for table in ("runs", "verdicts", "layers"):
        files += [f"--{table}", study.root / f"{table}.csv"]
    files += ["--study", study.folder / "study.yaml", "--figures", "no.svg", "--tables", "no.csv"]
    status, text = run("report", *files, environment=warm)
    assert status == 1 and text.startswith(f"error: {about}: damaged") and "altered" in text


@pytest.mark.parametrize("damage", [cut, empty, html])
def test_a_damaged_source_is_named(tmp_path, study, warm, damage):
    source = tmp_path / "source.json"
    shutil.copy(next((study.folder / "data" / "digits").glob("source-*.json")), source)
    damage(source)
    out = tmp_path / "clean.safetensors"
    status, text = run("prepare", "--source", source, "--out", out, environment=warm)
    assert status == 1 and text.startswith(f"error: {source}: damaged") and not out.exists()


def test_an_archive_that_changed_since_it_was_fetched_is_refused(tmp_path, warm):
    archive = tmp_path / "images.tar"
    archive.write_bytes(os.urandom(4000))
    folder = tmp_path / "d"
    options = [
        "--dataset",
        "x",
        "--out",
        folder / "x" / "source.json",
        "--kind",
        "image_folder",
        "--path",
        archive,
    ]
    status, text = run("download", *options, environment=warm)
    assert status == 0, text
    source, out = folder / "x" / "source.json", tmp_path / "clean.safetensors"
    status, text = run("prepare", "--source", source, "--out", out, environment=warm)
    assert status == 1 and str(archive) in text, "it never was an archive"
    cut(archive)
    status, text = run("prepare", "--source", source, "--out", out, environment=warm)
    assert status == 1 and text.startswith(f"error: dataset x: {archive} has changed since")
    assert "`version: " in text and "datasets.x" in text and not out.exists()


def test_a_damaged_mask_is_made_again_alone(tmp_path, study):
    """The way out that the message names works, and no finished run is done again."""
    results = tmp_path / "shared"
    shutil.copytree(study.results, results)
    (results / "small" / "runs.csv").unlink()
    experiments = [{"tickets": ["dense", "snip"], "sparsities": [0.8], "seeds": [0]}]
    experiments[0]["checks"] = ["rearranged", "shuffled_weights"]
    clone = Clone(tmp_path / "c", results=results, study={"experiments": experiments})
    mask = clone.root / "masks/digits/vgg5/snip/clean/seed0/sparsity0.8.safetensors"
    whole, before = mask.read_bytes(), clone.digests()
    flip(1)(mask)
    status, text = clone.snakemake("runs.csv", options=["--keep-going", "--show-failed-logs"])
    assert status == 1 and f"error: {mask}: damaged or not what it should be" in text
    done = {name: content for name, content in before.items() if name.startswith("runs/")}
    assert done.items() <= clone.digests().items(), "finished runs stay"
    mask.unlink()
    clone.make(mask.relative_to(clone.root))
    assert mask.read_bytes() == whole
    assert load_mask(mask)[1]["sparsity"] == 0.8
    text = clone.make("runs.csv")
    assert done.items() <= clone.digests().items(), "finished runs are not done again"
    assert clone.metrics(clone.run_of("snip", "shuffled_weights"))["test_accuracy"] is not None
    assert len(re.findall(r"Job \d+: ", text)) == 2, "the new run, and collect"
