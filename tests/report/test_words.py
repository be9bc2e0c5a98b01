"""Verdicts in words."""

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis.frames import CELL
from jackpot.analysis.statistics import verdicts
from jackpot.report.words import explain
from jackpot.vocabulary import words
from tests.support.synthetic import make_study


def test_a_sentence_for_every_verdict():
    made = make_study(tickets=("snip", "lr_rewinding"), missing=0.1, diverged=0.05, layers=4)
    for row in made.verdicts.to_dict("records"):
        sentence = explain(row)
        assert sentence.startswith(words(row["verdict"]).capitalize())
        assert "more seeds" not in sentence
        hidden = "could still be hidden" in sentence
        assert hidden == (row["verdict"] == "unaffected")
        assert "hidden" not in explain({**row, "collapsed": (3,)})
    undecided = made.verdicts[made.verdicts.verdict == "undecided"].iloc[0]
    far = {**undecided, "look": 1, "looks": 3}
    assert "at look 1 of 3, and perhaps not by the last one" in explain(
        {**far, "likely_look": pd.NA}
    )
    assert "look 3 is likely to" in explain({**far, "likely_look": 3})
    assert "this was the last look" in explain({**far, "look": 3})


def test_a_word_of_an_earlier_look_than_the_numbers_says_where_it_was_decided():
    """What was rejected stays rejected; what later seeds bring may look like another word."""
    quiet, loud = 0.05 * np.array([1, -1, 0.5, -0.5]), 3.0 * np.array([1, -1, 0.4, -0.4])
    accuracies = np.concatenate([90 + 0.1 + quiet, 90 - 2.0 + loud])
    rows = [("d", "m", "t", "spoils", 0.5, seed, a) for seed, a in enumerate(accuracies)]
    rows += [("d", "m", "t", "none", 0.5, seed, 90.0) for seed in range(8)]
    runs = pd.DataFrame(rows, columns=[*CELL, "seed", "test_accuracy"])
    row = verdicts(runs, 0.5, looks=[4, 8]).iloc[0]
    assert (row.verdict, row.look, row.decided_look) == ("unaffected", 2, 1)
    assert row.mean_difference == pytest.approx(-0.95)
    assert row.decided_mean_difference == pytest.approx(0.1)
    assert explain(row).endswith("(decided at look 1 of 2, where it was +0.10).")
    row = verdicts(runs[runs.seed < 4], 0.5, looks=[4, 8]).iloc[0]
    assert (row.look, row.decided_look) == (1, 1) and "decided at" not in explain(row)
