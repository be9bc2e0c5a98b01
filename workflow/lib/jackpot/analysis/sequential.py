"""The tests of one cell's differences, over the looks of a study; no cells' names, no tables.

Two questions are asked of the differences in test accuracy (in points): are they different from
zero (paired t-test), and do they lie within a margin that was declared beforehand (two one-sided
t-tests, TOST; Schuirmann 1987)? Every look spends a declared share of alpha (Bonferroni), and each
question's p-values are corrected by Holm's method (Holm 1979) over a family of cells.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from jackpot.settings import MARGIN

QUESTIONS = ("difference", "equivalence", "noninferiority", "inferiority", "beyond")
INTERVALS = [
    *("ci95_low", "ci95_high", "ci90_low", "ci90_high", "ci_repeated_low", "ci_repeated_high")
]
_STATISTICS = ["mean_difference", *INTERVALS, *(f"p_{question}" for question in QUESTIONS)]
# The sizes of test set among which ``resolution_of`` looks.
FEWEST_IMAGES, MOST_IMAGES = 100, 100_000
FINEST = 100 / MOST_IMAGES
# Accuracies are shares of a test set; values closer than this differ by rounding alone.
_ROUNDING = 1e-9


def resolution_of(accuracies: Iterable[float]) -> float:
    """Points of accuracy per test image, from accuracies in percent over one test set.

    The smallest test set, of ``FEWEST_IMAGES`` to ``MOST_IMAGES`` images, of which every accuracy
    is a whole number; ``FINEST`` where no such size fits. With few accuracies the result may be
    too large, which makes the tests more careful. It is too small for a test set of fewer than
    ``FEWEST_IMAGES``, which passes for a multiple of itself.
    """
    images = np.arange(FEWEST_IMAGES, MOST_IMAGES + 1, dtype=float)
    values = np.asarray(list(accuracies), dtype=float)
    for accuracy in np.unique(values[np.isfinite(values)]):
        right = accuracy * images / 100
        images = images[np.abs(right - np.rint(right)) <= _ROUNDING * images / 100]
        if not len(images):
            return FINEST
    return 100 / float(images[0])


def resolutions(runs: pd.DataFrame) -> dict[str, float]:
    """Points of accuracy per test image of every dataset of prepared runs.

    By the column ``test_images`` where it is known, and else by ``resolution_of``.
    """
    found = {}
    for name, part in runs.groupby("dataset"):
        images = part["test_images"].max()
        found[name] = 100 / images if images > 0 else resolution_of(part["test_accuracy"])
    return found


def sequential_tests(
    differences: np.ndarray,
    ran: np.ndarray | None = None,
    margin: float = MARGIN,
    looks: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    resolution: float | np.ndarray = FINEST,
    planned: int | np.ndarray = 1,
    against_one_run: bool = False,
) -> dict[str, np.ndarray]:
    """The tests of many cells at once, over all looks that each has reached.

    A look counts for a cell only if all of its first seeds have run, and uses exactly those. The
    standard error is that of the t-test, with half a test image as the least standard deviation:
    equal differences on a coarse test set are no proof of a spread of zero. A p-value over looks
    is the smallest of theirs, each divided by its look's share of alpha (Bonferroni). A pair that
    diverged has no difference, and the others are tested; but what was lost may have been as bad as
    can be, so such a look shows nothing that it would speak against (p = 1).

    Args:
        differences: points of accuracy, cells × seeds in the order in which they are run; NaN
            where there is none, -inf where the run diverged, inf where only its reference did.
            There may be further axes in front.
        ran: whether both runs of a pair are there; those with a difference if None.
        margin, looks, shares: as in ``Design``.
        planned: without looks, how many pairs there will be, one number or one a cell: fewer are
            no look.
        resolution: points of accuracy per test image, for all or for every cell.
        against_one_run: the differences are from one single run's value, whose own spread, taken
            to be ours, counts too (a prediction interval's standard error).

    Returns:
        Arrays, one value a cell. Of the last look reached: ``look`` (from 1; 0 if none), ``n``,
        ``mean_difference``, and intervals ``ci95_*``, ``ci90_*`` and ``ci_repeated_*`` (95 % over
        all looks); ``n`` and the mean are of all pairs where no look is reached. Over all looks
        reached, NaN if none has two differences: ``p_difference`` (the mean is not 0),
        ``p_equivalence`` (it lies within ±margin), ``p_noninferiority`` (above -margin),
        ``p_inferiority`` (below -margin) and ``p_beyond`` (outside ±margin); for each of them
        ``look_of_*``, the look that gave it, and ``mean_of_*``, the mean there, whose sign
        (-1, 0 or 1) is ``sign`` for ``p_difference``.
    """
    differences = np.asarray(differences, dtype=float)
    ran = np.isfinite(differences) if ran is None else np.asarray(ran, dtype=bool)
    seeds, shape = differences.shape[-1], differences.shape[:-1]
    ends = [seeds] if looks is None else list(looks)
    shares = [1 / len(ends)] * len(ends) if shares is None else shares
    n, mean, _ = _moments(differences)
    result = {"n": n, "mean_difference": mean, "look": np.zeros(shape, dtype=int)}
    at = [f"{name}_of_{question}" for name in ("look", "mean") for question in QUESTIONS]
    result |= {name: np.full(shape, np.nan) for name in [*_STATISTICS[1:], *at]}
    for look, (end, share) in enumerate(zip(ends, shares, strict=True), 1):
        if end > seeds:
            break
        part, here = differences[..., :end], ran[..., :end]
        n, mean, sd = _moments(part)
        enough = here.sum(-1) >= np.maximum(planned, 1)
        reached = enough if looks is None else here.all(-1)
        above = (here & np.isposinf(part)).any(-1)
        below = (here & ~np.isfinite(part) & ~np.isposinf(part)).any(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            se = np.maximum(sd, np.asarray(resolution) / 2) * np.sqrt(1 / n + against_one_run)
            p = p_values(mean, se, n - 1, margin, lost=(below, above))
        now = {"n": n, "mean_difference": mean, "look": np.full(shape, look)}
        for name, level in (("ci95", 0.05), ("ci90", 0.1), ("ci_repeated", 0.05 * share)):
            half = student.isf(level / 2, n - 1) * se
            now |= {f"{name}_low": mean - half, f"{name}_high": mean + half}
        for name, value in now.items():
            result[name] = np.where(reached, value, result[name])
        spent = {name: np.where(reached, np.minimum(p[name] / share, 1), np.nan) for name in p}
        for name, value in spent.items():
            before = result[f"p_{name}"]
            gave = (value < before) | (np.isnan(before) & reached)
            result[f"look_of_{name}"] = np.where(gave, look, result[f"look_of_{name}"])
            result[f"mean_of_{name}"] = np.where(gave, mean, result[f"mean_of_{name}"])
            result[f"p_{name}"] = np.fmin(before, value)
    return {**result, "sign": np.sign(result["mean_of_difference"])}


def _moments(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean and standard deviation (n - 1) of the finite ones along the last axis."""
    there = np.isfinite(differences)
    n = there.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, differences, 0.0).sum(-1) / n
        deviations = np.where(there, differences - mean[..., None], 0.0)
        return n, mean, np.sqrt((deviations**2).sum(-1) / (n - 1))


def p_values(
    mean: Any, se: Any, df: Any, margin: float, lost: tuple[Any, Any] = (False, False)
) -> dict[str, np.ndarray]:
    """t-tests of every question of ``QUESTIONS``, given means and standard errors (points).

    Args:
        lost: whether differences are missing that may lie below, and above, all others. Below,
            nothing shows that the mean lies above any point; and the other way round.
    """

    def one_sided(tail: Any, point: float, missing: Any) -> np.ndarray:
        p = tail((mean - point) / se, df)
        return np.where(missing & np.isfinite(p), 1.0, p)

    above = {point: one_sided(student.sf, point, lost[0]) for point in (-margin, 0, margin)}
    below = {point: one_sided(student.cdf, point, lost[1]) for point in (-margin, 0, margin)}
    return {
        "difference": np.minimum(1, 2 * np.minimum(above[0], below[0])),
        "equivalence": np.maximum(above[-margin], below[margin]),
        "noninferiority": above[-margin],
        "inferiority": below[-margin],
        "beyond": np.minimum(1, 2 * np.minimum(below[-margin], above[margin])),
    }


def paired_test(
    differences: Sequence[float], margin: float, resolution: float = FINEST
) -> dict[str, float]:
    """t-intervals and tests of one cell's differences, at one look; see ``sequential_tests``."""
    found = sequential_tests(np.array([differences], float), None, margin, resolution=resolution)
    return {"n": int(found["n"][0]), **{name: float(found[name][0]) for name in _STATISTICS}}


def words_of(p_difference: Any, p_equivalence: Any, sign: Any, alpha: float) -> np.ndarray:
    """The verdicts that p-values give at level ``alpha``; ``too_few_seeds`` where they are NaN."""
    p_difference, sign = np.asarray(p_difference, float), np.asarray(sign, float)
    different = p_difference <= alpha
    choices = {
        "too_few_seeds": np.isnan(p_difference),
        "unaffected": np.asarray(p_equivalence, float) <= alpha,
        "degraded": different & (sign < 0),
        "improved": different & (sign > 0),
    }
    return np.select(list(choices.values()), list(choices), default="undecided").astype(object)


def holm(p: pd.Series) -> pd.Series:
    """Holm's adjusted p-values; what is NaN stays so, and counts in the family as a p of 1.

    A family that grew with what has run would take back what it gave.
    """
    values = p.to_numpy(float)
    adjusted = holm_array(np.where(np.isnan(values), 1.0, values))
    return pd.Series(np.where(np.isnan(values), np.nan, adjusted), index=p.index)


def holm_array(p: np.ndarray) -> np.ndarray:
    """Holm's adjusted p-values of each family along the last axis.

    The same as statsmodels' ``multipletests``, which runs a full garbage collection on every
    call: a simulation of thousands of studies would spend hours in it.
    """
    order = np.argsort(p, axis=-1, kind="stable")
    stepped = np.take_along_axis(p, order, -1) * np.arange(p.shape[-1], 0, -1)
    adjusted = np.empty_like(stepped)
    stepped = np.minimum(np.maximum.accumulate(stepped, axis=-1), 1.0)
    np.put_along_axis(adjusted, order, stepped, -1)
    return adjusted
