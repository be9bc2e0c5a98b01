"""The tests over looks: against formulas written out, and over thousands of made-up studies."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jackpot.analysis.frames import RUN, prepare_runs
from jackpot.analysis.sequential import (
    holm_array,
    paired_test,
    resolution_of,
    resolutions,
    sequential_tests,
    words_of,
)

STUDIES = 2000
ALPHA = 0.05
LOOKS = (5, 10, 20, 40)


def bound(rate, tail=0.999, count=STUDIES):
    return stats.binom.ppf(tail, count, rate)


@pytest.fixture
def rng():
    return np.random.default_rng(20)


@pytest.mark.parametrize("difference", [0.0, 0.3, -4.0])
def test_equal_differences_have_a_spread_of_half_an_image(difference):
    result = paired_test([difference] * 4, 0.5, resolution=0.28)
    se = 0.14 / 2
    assert result["p_difference"] == pytest.approx(2 * stats.t.sf(abs(difference) / se, 3))
    assert result["p_noninferiority"] == pytest.approx(stats.t.sf((difference + 0.5) / se, 3))
    half = stats.t.isf(0.025, 3) * se
    assert result["ci95_high"] - difference == pytest.approx(half)


def test_an_image_is_worth_what_the_test_set_says():
    """20 images are fewer than any size that accuracies alone could tell."""
    rows = [("d", "m", "t", "none", 0.5, seed, 85.0) for seed in range(5)]
    runs = pd.DataFrame(rows, columns=[*RUN, "test_accuracy"])
    assert resolutions(prepare_runs(runs)) == {"d": 1.0}
    assert resolutions(prepare_runs(runs.assign(test_images=20))) == {"d": 5.0}


def p_by_hand(x, margin):
    """SciPy's own t-tests of the five questions."""

    def less(point):
        return stats.ttest_1samp(x, point, alternative="less").pvalue

    def greater(point):
        return stats.ttest_1samp(x, point, alternative="greater").pvalue

    return {
        "difference": stats.ttest_1samp(x, 0).pvalue,
        "equivalence": max(greater(-margin), less(margin)),
        "noninferiority": greater(-margin),
        "inferiority": less(-margin),
        "beyond": min(1, 2 * min(less(-margin), greater(margin))),
    }


def test_every_question_is_asked_at_every_look_and_the_best_answer_counts(rng):
    looks, shares, margin = (4, 6, 9), (0.5, 0.2, 0.3), 0.4
    x = rng.normal(rng.normal(0, 0.6, (60, 1)), 0.5, (60, 9))
    found = sequential_tests(x, None, margin, looks, shares, 1e-6)
    for i, row in enumerate(x):
        each = [
            {name: p / share for name, p in p_by_hand(row[:n], margin).items()}
            for n, share in zip(looks, shares, strict=True)
        ]
        for name in each[0]:
            spent = [min(p[name], 1) for p in each]
            assert found[f"p_{name}"][i] == pytest.approx(min(spent), rel=1e-9)
            first = spent.index(min(spent))
            assert found[f"look_of_{name}"][i] == first + 1
            assert found[f"mean_of_{name}"][i] == pytest.approx(row[: looks[first]].mean())


@pytest.mark.parametrize("shares", [None, (0.5, 0.2, 0.3)])
def test_repeated_intervals_are_as_wide_as_their_looks_share(rng, shares):
    looks, g = (4, 6, 9), 0.11
    x = rng.normal(0.3, 0.5, (12, 9))
    x[::3, 6:], x[1::3, 4:] = np.nan, np.nan
    x[2] = 0.4
    found = sequential_tests(x, None, 0.5, looks, shares, g)
    for i, row in enumerate(x):
        n = int(np.isfinite(row).sum())
        share = (shares or [1 / 3] * 3)[looks.index(n)]
        se = max(np.std(row[:n], ddof=1), g / 2) / n**0.5
        mean = row[:n].mean()
        expected = stats.t.interval(1 - 0.05 * share, n - 1, loc=mean, scale=se)
        assert found["ci_repeated_low"][i] == pytest.approx(expected[0], abs=1e-9)
        assert found["ci_repeated_high"][i] == pytest.approx(expected[1], abs=1e-9)
        ordinary = stats.t.interval(0.95, n - 1, loc=mean, scale=se)
        assert found["ci95_low"][i] == pytest.approx(ordinary[0], abs=1e-9)


def test_repeated_intervals_cover_at_all_looks_at_once(rng):
    x = rng.normal(0.2, 0.5, (STUDIES, LOOKS[-1]))
    missed = np.zeros(STUDIES, dtype=bool)
    for end in LOOKS:
        found = sequential_tests(np.where(np.arange(LOOKS[-1]) < end, x, np.nan), None, 0.5, LOOKS)
        missed |= (found["ci_repeated_low"] > 0.2) | (found["ci_repeated_high"] < 0.2)
    assert missed.sum() <= bound(ALPHA)


def simulate(rng, mean, sd, looks=LOOKS, draw=None, g=0.001, margin=0.5):
    """Words of STUDIES studies, one column a cell."""
    shape = (STUDIES, len(mean), looks[-1])
    noise = rng.normal(size=shape) if draw is None else draw(shape)
    x = np.asarray(mean)[:, None] + np.asarray(sd)[:, None] * noise
    x = np.round(x / g) * g if g > 0.01 else x
    found = sequential_tests(x, None, margin, looks, resolution=g)
    adjusted = [holm_array(found[f"p_{q}"]) for q in ("difference", "equivalence")]
    return words_of(*adjusted, found["sign"], ALPHA), found


@pytest.mark.parametrize("noise", ["normal", "t5"])
def test_error_rates_of_whole_studies_with_looks(rng, noise):
    """Cells of no effect and cells at the margin, spreads 25-fold unequal: any wrong word."""
    mean = np.array([0.5, -0.5, 0.5, -0.5, 0, 0, 0, 0])
    sd = np.array([0.08, 2.0, 0.3, 0.3, 0.08, 2.0, 0.3, 1.0])
    draw = None if noise == "normal" else lambda s: rng.standard_t(5, s) / (5 / 3) ** 0.5
    words, _ = simulate(rng, mean, sd, draw=draw)
    assert (words[:, :4] == "unaffected").any(1).sum() <= bound(ALPHA)
    assert np.isin(words[:, 4:], ["degraded", "improved"]).any(1).sum() <= bound(ALPHA)


@pytest.mark.parametrize("g", [0.11, 0.28])
@pytest.mark.parametrize("mean", [0.5, -0.5, 0.0])
def test_coarse_accuracies_at_the_level_of_one_of_86_cells(rng, g, mean):
    x = np.round(rng.normal(mean, 0.25, (100_000, 5)) / g) * g
    found = sequential_tests(x, None, 0.5, resolution=g)
    name = "difference" if mean == 0 else "equivalence"
    wrong = (found[f"p_{name}"] <= ALPHA / 86).sum()
    assert wrong <= bound(2 * ALPHA / 86, count=100_000)


def test_a_rejection_is_never_withdrawn(rng):
    x = rng.normal(np.repeat([0, 0.3, 0.7], 10)[:, None], 0.5, (300, 30, 40))
    before = None
    for end in LOOKS:
        part = np.where(np.arange(40) < end, x, np.nan)
        found = sequential_tests(part, None, 0.5, LOOKS)
        words = words_of(
            holm_array(found["p_difference"]),
            holm_array(found["p_equivalence"]),
            found["sign"],
            0.05,
        )
        if before is not None:
            changed = (words != before) & (before != "undecided")
            assert (words[changed] == "unaffected").all()
            assert (before[changed] != "unaffected").all()
        before = words


def test_resolution_is_that_of_the_test_set(rng):
    for images in (360, 903, 10_000):
        counts = rng.integers(images // 2, images, 30)
        assert resolution_of(100 * counts / images) == pytest.approx(100 / images)
    assert resolution_of(rng.normal(90, 1, 5)) == 0.001
