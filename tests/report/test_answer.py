"""What the first sentences of the page say."""

import pandas as pd

from jackpot.analysis.frames import prepare_runs
from jackpot.report.answer import _small_changes, summary
from jackpot.report.claims import claim_entries
from tests.support.synthetic import claimed, make_study


def test_a_real_change_within_the_margin_is_said():
    table = pd.DataFrame(
        {
            "verdict": ["unaffected"] * 4 + ["degraded"],
            "mean_difference": [-0.5, -0.4, 0.3, 0.0, -3.0],
            "small": [True, True, True, False, False],
        }
    )
    (sentence,) = _small_changes(table[:2])
    assert sentence.startswith("In 2 of the 2 unaffected there is a loss beyond doubt")
    (sentence,) = _small_changes(table)
    assert sentence.startswith("In 3 of the 4 unaffected there is a change beyond doubt")
    assert "(marked *), a loss in 2 and a gain in 1." in sentence
    assert _small_changes(table[3:]) == []


def test_what_is_said_to_have_been_checked_was_checked():
    made = make_study(models=("vgg5", "resnet8"), tickets=("snip", "random"), sparsities=(0.9,))
    runs = made.runs[(made.runs.model == "vgg5") | (made.runs.check == "none")]
    runs = runs[(runs.check == "none") | (runs.seed < 2)]
    first, *_ = summary(prepare_runs(runs), None, [], 0)
    assert first == (
        "5 checks of 1 ticket, run on digits with vgg5 at 90 % sparsity, with 2 seeds a cell. "
        "Beside them 2 tickets with nothing spoiled, on digits with resnet8 at 90 % sparsity."
    )
    first, *_ = summary(prepare_runs(runs[runs.check == "none"]), None, [], 0)
    assert first.startswith("2 tickets without a check, run on digits with resnet8 and vgg5")


def test_summary_counts_what_happened():
    made = make_study(tickets=("snip", "lr_rewinding"), missing=0.1, diverged=0.05, layers=4)
    runs = prepare_runs(made.runs)
    text = " ".join(
        summary(
            runs, made.verdicts.assign(small=False), claim_entries([claimed()], made.verdicts), 7
        )
    )
    for verdict, count in made.verdicts.verdict.value_counts().items():
        assert f"{count} {verdict.replace('_', ' ')}" in text
    assert f"{int(runs.test_accuracy.isna().sum())} diverged" in text
    assert "7 runs have not finished" in text and "1 held" in text
