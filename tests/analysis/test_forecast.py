"""Forecasts against simulated studies, and limits against formulas written out."""

import numpy as np
import pytest
from scipy import stats

from jackpot.analysis.forecast import fixed_seeds, hidden_rate, seeds_to_decide, smallest_p


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.mark.parametrize("mean", [0.0, 0.3, -0.45, 1.2])
def test_seeds_to_decide_decide(mean, rng):
    """At the number found a verdict comes in 80 % of made-up studies, and not with half of it."""
    shape = rng.normal(0, 1, 6)
    sample = mean + 0.6 * (shape - shape.mean()) / shape.std(ddof=1)
    needed = seeds_to_decide(sample, margin=0.5, alpha=0.05)
    rate = {}
    for n in (needed, max(2, needed // 2)):
        draws = rng.normal(mean, 0.6, (20_000, n))
        se = draws.std(1, ddof=1) / np.sqrt(n)
        p_less = stats.t.cdf((draws.mean(1) - 0.5) / se, n - 1)
        p_more = stats.t.sf((draws.mean(1) + 0.5) / se, n - 1)
        p = 2 * stats.t.sf(np.abs(draws.mean(1)) / se, n - 1)
        rate[n] = max((np.maximum(p_less, p_more) <= 0.05).mean(), (p <= 0.05).mean())
    assert 0.79 < rate[needed] < 0.92
    assert rate[max(2, needed // 2)] < 0.75


def test_seeds_to_decide_edges(rng):
    assert seeds_to_decide([0.1]) is None
    assert seeds_to_decide([np.nan, 0.1]) is None
    assert seeds_to_decide([-50.0, 20.0, 30.5]) is None
    assert seeds_to_decide([0.0, 0.0]) == 2
    assert seeds_to_decide([0.3, 0.3]) == 2
    assert seeds_to_decide([5.0, 5.01]) == 2


def test_smallest_p_is_that_of_the_sign_flip_test(rng):
    for n in (2, 3, 5):
        all_positive = rng.uniform(1, 2, n)
        assert smallest_p(n) == pytest.approx(stats.wilcoxon(all_positive, method="exact").pvalue)
    assert smallest_p(1) == smallest_p(0) == 1.0


def test_smallest_p_pays_for_cells_and_looks():
    assert smallest_p(5, family=4, share=0.5) == 0.5
    assert smallest_p(5, family=86) == 1.0
    assert smallest_p(20, family=86, share=0.25) == pytest.approx(86 * 4 * 2 / 2**20)


def test_hidden_collapses():
    for n in (1, 5, 40):
        assert (1 - hidden_rate(n)) ** n == pytest.approx(0.05)
    assert hidden_rate(0) == 1.0


def holm_rejects(p, alpha=0.05):
    """Step down by hand: statsmodels collects garbage at every call, which takes minutes here."""
    rejected = np.zeros(len(p), dtype=bool)
    for k, i in enumerate(np.argsort(p)):
        if p[i] > alpha / (len(p) - k):
            break
        rejected[i] = True
    return rejected


def decided_on_average(means, sds, n, rng, studies=150):
    """Counted anew in made-up studies, cell by cell, with scipy's tests and a margin of 0.5."""
    count = 0
    for _ in range(studies):
        p = []
        for mean, sd in zip(means, sds, strict=True):
            x = rng.normal(mean, sd, n)
            low = stats.ttest_1samp(x, -0.5, alternative="greater").pvalue
            high = stats.ttest_1samp(x, 0.5, alternative="less").pvalue
            p.append([stats.ttest_1samp(x, 0).pvalue, max(low, high)])
        count += np.logical_or(*[holm_rejects(q) for q in np.array(p).T]).sum()
    return count / studies


@pytest.mark.parametrize(
    ("means", "sds", "decided"),
    [
        ([0.0, -1.0, 0.1, 2.0], [0.3, 0.8, 0.5, 1.0], 3),
        # All of them: not a study that never fails to, which would take two to three times as much.
        ([0.0] * 6, [0.5] * 6, 6),
    ],
)
def test_fixed_seeds_decide_as_many_cells_and_fewer_do_not(rng, means, sds, decided):
    needed = fixed_seeds(means, sds, decided, margin=0.5)
    assert decided_on_average(means, sds, needed, rng) > decided - 0.5 - 0.15
    assert decided_on_average(means, sds, needed - 2, rng) < decided - 0.5 + 0.05


def test_a_cell_without_a_spread_is_never_decided():
    known = fixed_seeds([0.0, 1.0], [0.3, 0.3], 2, margin=0.5)
    assert fixed_seeds([0.0, 1.0, np.nan], [0.3, 0.3, np.nan], 2, margin=0.5) >= known
    assert fixed_seeds([0.0, 1.0, np.nan], [0.3, 0.3, np.nan], 3, margin=0.5) is None
