"""What the page says of a study's looks, on made-up studies that are followed from look to look."""

import numpy as np
import pandas as pd
import pytest

from jackpot.analysis.claims import going_on
from jackpot.analysis.design import Design
from jackpot.analysis.frames import CELL, prepare_runs
from jackpot.analysis.statistics import check_table, details, open_cells
from jackpot.report.looks import looks_section

LOOKS = (5, 10, 20)
EFFECTS = {
    "none": (0.0, 0.1),
    "rearranged": (0.0, 0.05),
    "random_labels": (-3.0, 0.3),
    "random_pixels": (0.0, 0.6),
    "corrupted_data": (-0.5, 0.6),
}


@pytest.fixture(scope="module")
def all_runs():
    rng = np.random.default_rng(8)
    rows = []
    for sparsity in (0.9, 0.95):
        base = rng.normal(90, 2, LOOKS[-1])
        for check, (mean, sd) in EFFECTS.items():
            accuracies = base + mean + sd * rng.normal(size=LOOKS[-1])
            cell = ("digits", "vgg5", "snip", check, sparsity)
            rows += [(*cell, seed, accuracy) for seed, accuracy in enumerate(accuracies)]
    return prepare_runs(pd.DataFrame(rows, columns=[*CELL, "seed", "test_accuracy"]))


def at_look(runs, number, **more):
    """Runs, verdicts and design at a look of a study that followed ``going_on``."""
    design = Design(0.5, 0.05, LOOKS, planned=runs[CELL].drop_duplicates(), **more)
    done = runs["seed"] < LOOKS[0]
    keys = list(runs[CELL].itertuples(index=False, name=None))
    for n in LOOKS[1:number]:
        wanted = going_on(runs[done], design)
        done |= np.array([key in wanted for key in keys]) & (runs["seed"] < n)
    runs = runs[done]
    return runs, judged(runs, design), design


def judged(runs, design):
    more = details(runs, design)[[*CELL, "sd_difference", "collapsed", "likely_look"]]
    return check_table(runs, design).merge(more, on=CELL)


def test_between_looks_the_page_says_what_goes_on(all_runs):
    runs, verdicts, design = at_look(all_runs, 1)
    section = looks_section(runs, verdicts, design)
    count = len(going_on(runs, design) - {c for c in going_on(runs, design) if c[3] == "none"})
    assert 0 < count < 8 and section["going_on"]
    assert section["now"] == (
        f"This page shows look 1 of 3 (5 seeds): {count} of 8 comparisons go on, so it is not "
        "final."
    )
    text = " ".join(section["sentences"])
    cells = len(going_on(runs, design))
    assert (
        f"{cells} cells get seeds up to 10; until the last look that is {cells * 15} more" in text
    )
    assert "likely to be decided at look" in text or "perhaps not by look 3" in text
    assert "One look that decides as many" not in text
    assert f"took {len(runs)} runs so far; 20 seeds in every cell would be {10 * 20}." in text
    assert [cell.text for cell in section["table"].rows[1]][3:] == ["–"] * 4


def test_cells_with_a_word_are_no_cells_that_may_stay_open(all_runs):
    """They go on because their difference is smaller than the margin, and have no forecast."""
    runs, verdicts, design = at_look(all_runs, 1)
    open_now = open_cells(verdicts)
    small = open_now.assign(verdict="degraded", mean_difference=-0.2, likely_look=pd.NA)
    text = " ".join(looks_section(runs, verdicts.assign(**small), design)["sentences"])
    assert f"{len(small)} have a word already and may yet turn out to be unaffected" in text
    assert "perhaps not" not in text and "likely to be decided" not in text


@pytest.mark.parametrize("look", [2, 3])
def test_a_comparison_that_lacks_a_run_of_its_look_is_said_to_be_behind(all_runs, look):
    """As with `partial`, while a look is being made."""
    runs, verdicts, design = at_look(all_runs, look)
    cells = set(verdicts.loc[verdicts["look"] == look, CELL].itertuples(index=False, name=None))
    (cell, *_) = sorted(cells)
    gone = (runs[CELL].apply(tuple, axis=1) == cell) & (runs["seed"] == LOOKS[look - 1] - 1)
    assert gone.sum() == 1
    section = looks_section(runs[~gone], judged(runs[~gone], design), design)
    text = " ".join(section["sentences"])
    assert f"1 comparison has not reached look {look} yet, as runs are missing." in text
    assert "cells get seeds up to" not in text


def test_at_the_end_it_counts_what_was_spent(all_runs):
    runs, verdicts, design = at_look(all_runs, 3)
    section = looks_section(runs, verdicts, design)
    assert not section["going_on"]
    decided = int((verdicts.verdict != "undecided").sum())
    text = " ".join(section["sentences"])
    assert f"took {len(runs)} runs; 20 seeds in every cell would be 200." in text
    assert f"One look that decides as many comparisons ({decided}) would need about" in text
    rows = [[cell.value for cell in row] for row in section["table"].rows]
    assert [row[:2] for row in rows] == [[1, 5], [2, 10], [3, 20]]
    assert sum(sum(row[3:6]) for row in rows) == decided
    assert rows[-1][-1] == 8 - decided
    for row in rows:
        here = verdicts[(verdicts.look == row[0]) & (verdicts.verdict == "unaffected")]
        assert row[3] == len(here)


def test_a_study_that_needs_no_later_look_is_final(all_runs):
    runs = all_runs[all_runs.check.isin(["none", "rearranged"])]
    runs, verdicts, design = at_look(runs, 1)
    section = looks_section(runs, verdicts, design)
    assert not section["going_on"]
    assert "look 1 of 3 (5 seeds): it is final" in section["now"]


def test_shares_of_their_own_are_said(all_runs):
    section = looks_section(*at_look(all_runs, 1, shares=(0.5, 0.3, 0.1)))
    assert "a declared part (50 %, 30 % and 10 %)" in section["sentences"][0]


def test_one_look_reads_as_one(all_runs):
    design = Design(0.5)
    runs = all_runs[all_runs.seed < 5]
    section = looks_section(runs, judged(runs, design), design)
    (sentence,) = section["sentences"]
    assert sentence.startswith("This study looks once, at 5 pairs of runs a comparison. All of")
    assert (section["table"], section["now"], section["going_on"]) == (None, "", False)
    decided = runs[runs.check.isin(["none", "rearranged"])]
    (sentence,) = looks_section(decided, judged(decided, design), design)["sentences"]
    assert sentence == "This study looks once, at 5 pairs of runs a comparison."
