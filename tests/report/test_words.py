"""Verdicts in words."""

import pandas as pd

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
