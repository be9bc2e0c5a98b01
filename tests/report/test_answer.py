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
            "p_difference_holm": [0.01, 0.05, 0.2, 0.06, 0.001],
        }
    )
    (sentence,) = _small_changes(table, 0.05)
    assert sentence.startswith("In 2 of the 4 unaffected")
    assert _small_changes(table[2:], 0.05) == []


def test_summary_counts_what_happened():
    made = make_study(tickets=("snip", "lr_rewinding"), missing=0.1, diverged=0.05, layers=4)
    runs = prepare_runs(made.runs)
    text = " ".join(summary(runs, made.verdicts, claim_entries([claimed()], made.verdicts), 7))
    for verdict, count in made.verdicts.verdict.value_counts().items():
        assert f"{count} {verdict.replace('_', ' ')}" in text
    assert f"{int(runs.test_accuracy.isna().sum())} diverged" in text
    assert "7 runs have not finished" in text and "1 held" in text
