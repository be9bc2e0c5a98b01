"""Every script says how it is used."""

import pytest

from tests.support import SCRIPTS
from tests.support.scripts import run, succeed
from tests.support.studies import written


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_every_script_says_how_it_is_used(script, warm):
    if script == "warm":
        pytest.skip("it runs other scripts, whose --help it passes on")
    assert "usage:" in succeed(script, "--help", environment=warm)


PRETRAIN = ["--clean", "c", "--data", "c", "--weights", "w", "--out", "o"]
RETRAIN = ["--clean", "c", "--weights", "w", "--mask", "m", "--out", "o"]
PRUNE = ["--data", "d", "--weights", "w", "--out", "o", "--sparsities", "0.5", "--score", "snip"]
CORRUPT = ["--clean", "c", "--out", "o"]


@pytest.mark.parametrize(
    ("script", "words", "said"),
    [
        ("retrain", [*RETRAIN, "--retrain-epochs", "0"], "'0' is no whole number of 1 or more"),
        ("retrain", [*RETRAIN, "--first-epoch", "-1"], "'-1' is no whole number of 0 or more"),
        ("retrain", [*RETRAIN, "--check", "nope"], "argument --check: check 'nope' does not exist"),
        ("pretrain", [*PRETRAIN, "--epochs", "1", "--snapshots", "5"], "there are only 1 epochs"),
        ("prune", [*PRUNE, "--check", "rearranged"], "rearranged does not spoil scores"),
        ("prune", [*PRUNE, "--check", "nope"], "argument --check: check 'nope' does not exist"),
        ("verify", ["--sample", "0"], "--sample: '0' is no whole number of 1 or more"),
        ("verify", ["--sample", "-1"], "--sample: '-1' is no whole number of 1 or more"),
        ("verify", ["--cores", "0"], "--cores: '0' is no whole number of 1 or more"),
        ("collect", ["--study", "s.yaml", "--datasets", "{a"], "--datasets: '{a' is not JSON: "),
        ("corrupt", [*CORRUPT, "--check", "rearranged"], "rearranged does not spoil data"),
        ("corrupt", [*CORRUPT, "--check", "nope"], "argument --check: check 'nope' does not exist"),
    ],
)
def test_a_script_by_hand_refuses_what_makes_no_sense(script, words, said, warm):
    status, text = run(script, *words, environment=warm)
    assert status == 2 and said in text and "Traceback" not in text, text


def test_files_that_are_not_there_are_counted(tmp_path):
    (tmp_path / "config.yaml").write_text("{}")
    study = ["--config", tmp_path / "config.yaml", "--study", written(tmp_path)]
    status, text = run("stale", *study, "--results-dir", tmp_path / "nowhere")
    assert status == 0
    assert ": 0 files are not today's, of 7 in the study; 7 are not there yet" in text


def test_where_nothing_is_published_nothing_is_redrawn(tmp_path):
    for folder in (tmp_path, tmp_path / "nope"):
        status, text = run("redraw", "--published", folder, "--out", tmp_path / "out")
        assert status == 1 and f"error: {folder}: nothing is published there." in text


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    status, text = run("redraw", "--out", tmp_path / "file")
    assert status == 1 and text.startswith(f"error: {tmp_path}/file/"), text
    assert text.endswith(": Not a directory\n")
