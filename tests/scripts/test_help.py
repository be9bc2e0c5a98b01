"""Every script says how it is used."""

import pytest

from tests.support import SCRIPTS
from tests.support.scripts import run, succeed


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_every_script_says_how_it_is_used(script, warm):
    if script == "warm":
        pytest.skip("it runs other scripts, whose --help it passes on")
    assert "usage:" in succeed(script, "--help", environment=warm)


PRETRAIN = ["--clean", "c", "--data", "c", "--weights", "w", "--out", "o"]
RETRAIN = ["--clean", "c", "--weights", "w", "--mask", "m", "--out", "o"]
CORRUPT = ["--clean", "c", "--out", "o"]


@pytest.mark.parametrize(
    ("script", "words", "said"),
    [
        ("retrain", [*RETRAIN, "--retrain-epochs", "0"], "'0' is no whole number of 1 or more"),
        ("retrain", [*RETRAIN, "--first-epoch", "-1"], "'-1' is no whole number of 0 or more"),
        ("retrain", [*RETRAIN, "--check", "nope"], "argument --check: check 'nope' does not exist"),
        ("pretrain", [*PRETRAIN, "--epochs", "1", "--snapshots", "5"], "there are only 1 epochs"),
        ("corrupt", [*CORRUPT, "--check", "rearranged"], "rearranged does not spoil data"),
        ("corrupt", [*CORRUPT, "--check", "nope"], "argument --check: check 'nope' does not exist"),
    ],
)
def test_a_script_by_hand_refuses_what_makes_no_sense(script, words, said, warm):
    status, text = run(script, *words, environment=warm)
    assert status == 2 and said in text and "Traceback" not in text, text
