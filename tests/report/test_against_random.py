"""Every ticket beside random ones, against scipy and statsmodels called directly."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from jackpot.analysis.design import Design
from jackpot.report.evidence import against_random

RESOLUTION = 0.001


def runs_of(effects, seeds=6):
    rng = np.random.default_rng(5)
    rows = [
        ("digits", "vgg5", ticket, check, 0.9, seed, 90 + effect + rng.normal(0, 0.3))
        for (ticket, check), effect in effects.items()
        for seed in range(seeds)
    ]
    columns = ["dataset", "model", "ticket", "check", "sparsity", "seed", "test_accuracy"]
    return pd.DataFrame(rows, columns=columns).assign(collapsed=False, diverged=False)


def test_each_ticket_is_tested_against_random_in_one_family():
    effects = {"mine": 3.0, "snip": 0.0, "grasp": -2.0, "random": 0.0, "random_uniform": -5.0}
    effects = {(ticket, "none"): effect for ticket, effect in effects.items()}
    runs = runs_of({**effects, ("dense", "none"): 5.0, ("snip", "rearranged"): -9.0})
    table = against_random(runs, Design(1.0, resolution=RESOLUTION, seeds=range(6)))
    wide = runs[runs["check"] == "none"].pivot(
        index="seed", columns="ticket", values="test_accuracy"
    )
    names = ["mine", "snip", "grasp"]
    different = [stats.ttest_rel(wide[name], wide["random"]).pvalue for name in names]
    equal = [ttost_paired(wide[name], wide["random"], -1, 1)[0] for name in names]
    different, equal = (multipletests(p, method="holm")[1] for p in (different, equal))
    assert [row[0].value for row in table.rows] == names, "a reader's own ticket first"
    for row, name, p, q in zip(table.rows, names, different, equal, strict=True):
        assert row[3].value == pytest.approx((wide[name] - wide["random"]).mean())
        assert (row[6].value, row[7].value) == (pytest.approx(p), pytest.approx(q))
    assert [row[2].text for row in table.rows] == ["▲ better", "≈ within the margin", "▼ worse"]


@pytest.mark.parametrize(
    "tickets", [("snip", "dense"), ("random", "random_uniform", "dense"), ("random_snip",)]
)
def test_without_both_there_is_no_table(tickets):
    runs = runs_of({(ticket, "none"): 0.0 for ticket in tickets})
    assert against_random(runs, Design(1.0, resolution=RESOLUTION, seeds=range(6))) is None
