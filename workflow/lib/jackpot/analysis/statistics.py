"""Does a ticket need an ingredient: yes, no, or can these seeds not tell?

A check is compared with the same ticket left alone (``none``), seed by seed. Two questions are
asked of the differences in test accuracy (in points): are they different from zero (paired
t-test), and do they lie within a margin that was declared beforehand (two one-sided t-tests,
TOST; Schuirmann 1987)? A study may look at its results several times, at numbers of seeds that it
declares beforehand, and stop where it has an answer: every look spends a declared share of alpha
(Bonferroni). Each question's p-values are corrected by Holm's method (Holm 1979) over all planned
cells. ``docs/statistics.md`` says the same for readers who do not read code.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student
from statsmodels.stats.power import TTestPower

from jackpot.analysis.frames import CELL, prepare_runs
from jackpot.errors import JackpotError

COLUMNS = [
    *CELL,
    *("n", "mean_difference", "ci95_low", "ci95_high", "ci90_low", "ci90_high"),
    *("p_difference", "p_equivalence", "p_difference_holm", "p_equivalence_holm"),
    *("margin", "verdict", "look", "looks", "ci_repeated_low", "ci_repeated_high"),
]
VERDICTS = ("unaffected", "degraded", "improved", "undecided", "too_few_seeds")
MAX_SEEDS = 1000
# The sizes of test set among which ``resolution_of`` looks.
FEWEST_IMAGES, MOST_IMAGES = 100, 100_000
FINEST = 100 / MOST_IMAGES

QUESTIONS = ("difference", "equivalence", "noninferiority", "inferiority", "beyond")
_INTERVALS = [
    *("ci95_low", "ci95_high", "ci90_low", "ci90_high", "ci_repeated_low", "ci_repeated_high")
]
_STATISTICS = ["mean_difference", *_INTERVALS, *(f"p_{question}" for question in QUESTIONS)]
# Accuracies are shares of a test set; values closer than this differ by rounding alone.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Design:
    """What a study declares before anything is run, and what its tests are computed with.

    Attributes:
        margin: the largest difference, in points of accuracy, that counts as none.
        alpha: error rate of each family of tests, over all looks and after Holm.
        looks: numbers of seeds at which results are looked at, rising. None is one look at
            whatever seeds there are.
        shares: the part of alpha that each look spends, at most 1 in all; equal unless given.
        planned: all cells of the study, run or not, ``none`` included: a table with the columns
            of ``CELL``, or a list of mappings or objects with these fields. They are the family
            of Holm's correction, and no other cell is judged. None: the cells of the table.
        seeds: the seeds in the order in which they are run; ascending, of those in the table,
            unless given.
        resolution: points of accuracy per test image, one number or one for every dataset;
            worked out by ``resolution_of`` unless given.
    """

    margin: float = 0.5
    alpha: float = 0.05
    looks: Sequence[int] | None = None
    shares: Sequence[float] | None = None
    planned: Any = None
    seeds: Sequence[int] | None = None
    resolution: float | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.margin) and self.margin > 0):
            raise JackpotError(f"margin is {self.margin}: it must be above 0 points of accuracy.")
        if not 0 < self.alpha < 0.5:
            raise JackpotError(f"alpha is {self.alpha}: it must lie between 0 and 0.5.")
        looks = None if self.looks is None else [int(n) for n in self.looks]
        if looks is not None and (
            not looks or looks[0] < 2 or any(b <= a for a, b in pairwise(looks))
        ):
            raise JackpotError(
                f"looks are {list(self.looks)}: they must be rising numbers of seeds, 2 or more."
            )
        count = 1 if looks is None else len(looks)
        shares = [1 / count] * count if self.shares is None else [float(w) for w in self.shares]
        if len(shares) != count or not all(w > 0 for w in shares) or sum(shares) > 1 + _ROUNDING:
            raise JackpotError(
                f"shares are {shares}: they must be one for each of the {count} look(s), "
                "above 0 and at most 1 in all."
            )
        sizes = self.resolution
        sizes = list(sizes.values()) if isinstance(sizes, Mapping) else [sizes]
        if any(g is not None and not g > 0 for g in sizes):
            raise JackpotError(f"resolution is {self.resolution}: it must be above 0 points.")
        object.__setattr__(self, "looks", looks)
        object.__setattr__(self, "shares", shares)

    def resolved(self, runs: pd.DataFrame) -> "Design":
        """The same with ``resolution`` a number for every dataset of ``runs``."""
        if self.resolution is not None:
            return self
        found = prepare_runs(runs).groupby("dataset")["test_accuracy"].agg(resolution_of)
        return replace(self, resolution=found.to_dict())

    def cells(self) -> pd.DataFrame | None:
        """``planned`` as a table with the columns of ``CELL``; None if it was not given."""
        if self.planned is None:
            return None
        planned = pd.DataFrame(self.planned)
        missing = [name for name in CELL if name not in planned]
        if missing and len(planned):
            raise JackpotError(f"the planned cells lack {', '.join(missing)}.")
        planned = planned.reindex(columns=CELL).astype({"sparsity": float})
        return planned.assign(sparsity=planned["sparsity"].round(9)).drop_duplicates()


def verdicts(
    runs: pd.DataFrame,
    margin: float = 0.5,
    alpha: float = 0.05,
    looks: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    planned: Any = None,
    seeds: Sequence[int] | None = None,
    resolution: float | Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """One row per dataset, model, ticket, check and sparsity, with a verdict each.

    Args:
        runs: rows of ``runs.csv``; needs the five columns of ``CELL``, ``seed`` and
            ``test_accuracy`` (percent). Row order and further columns change nothing.
        margin, alpha, looks, shares, planned, seeds, resolution: see ``Design``.

    Returns:
        The columns of ``COLUMNS``, sorted by cell. ``look`` is the last look that the cell has
        reached (0: none) of ``looks``; ``n``, the mean and the intervals are those of that look,
        or of the pairs so far where there is none yet. ``ci95`` and ``ci90`` are ordinary 95 %
        and 90 % t-intervals whatever ``alpha`` is, not corrected for looks; ``ci_repeated``
        allows for them. ``p_*`` are over all looks reached, and ``p_*_holm`` over all cells as
        well. What cannot be computed is NaN, and counts as 1 in Holm's correction.

    Raises:
        JackpotError: columns are missing, values unusable, or a run is there twice.
    """
    design = Design(margin, alpha, looks, shares, planned, seeds, resolution)
    return check_table(runs, design)[COLUMNS]


def compare(
    runs: pd.DataFrame,
    ticket: str,
    references: Sequence[str],
    margin: float = 0.5,
    alpha: float = 0.05,
    looks: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    planned: Any = None,
    seeds: Sequence[int] | None = None,
    resolution: float | Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Compare a ticket with others at the same dataset, model and sparsity, nothing spoiled.

    Returns:
        The columns of ``COLUMNS`` with ``reference`` in place of ``check``, and
        ``p_noninferiority`` with its Holm value: one one-sided paired t-test of "``ticket`` is
        worse than ``reference`` by ``margin`` or more". All references are one Holm family.

    Raises:
        JackpotError: as for ``verdicts``.
    """
    design = Design(margin, alpha, looks, shares, planned, seeds, resolution)
    table = ticket_table(runs, ticket, references, design)
    extra = ["p_noninferiority", "p_noninferiority_holm"]
    return table[[*_BY_TICKET, *COLUMNS[len(CELL) :], *extra]]


_BY_TICKET = ["dataset", "model", "ticket", "reference", "sparsity"]


def check_table(runs: pd.DataFrame, design: Design) -> pd.DataFrame:
    """``verdicts`` with all that ``judge`` adds."""
    pairs, planned = pair_with_none(runs), design.cells()
    if planned is not None:
        planned = planned[planned["check"] != "none"]
    return judge(measure(pairs, CELL, design.resolved(runs), planned), design)


def ticket_table(
    runs: pd.DataFrame, ticket: str, references: Sequence[str], design: Design
) -> pd.DataFrame:
    """``compare`` with all that ``judge`` adds."""
    pairs, planned = pair_tickets(runs, ticket, references), design.cells()
    if planned is not None:
        plain = planned[planned["check"] == "none"].drop(columns="check")
        second = plain[plain["ticket"].isin(references)].rename(columns={"ticket": "reference"})
        planned = plain[plain["ticket"] == ticket].merge(second)[_BY_TICKET]
    return judge(measure(pairs, _BY_TICKET, design.resolved(runs), planned), design)


def open_cells(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``verdicts`` or ``compare`` that go on to their next look.

    A cell stops when it is ``unaffected``, when it is different and its mean at its last look is
    at least the margin, or at the last look. One that is different by less goes on: it may turn
    out to be ``unaffected``, and which of the two tests fires first must not choose the word.
    """
    different = table["verdict"].isin(["degraded", "improved"])
    large = table["mean_difference"].abs() >= table["margin"]
    stopped = (table["verdict"] == "unaffected") | (different & large)
    return table[~stopped & (table["look"] < table["looks"])]


def resolution_of(accuracies: Iterable[float]) -> float:
    """Points of accuracy per test image, from accuracies in percent over one test set.

    The smallest test set, of ``FEWEST_IMAGES`` to ``MOST_IMAGES`` images, of which every accuracy
    is a whole number. Its size divides the true one, or is ``FEWEST_IMAGES``, so with few
    accuracies the result is too large, never too small: that makes the tests more careful.
    ``FINEST`` where no such size fits.
    """
    images = np.arange(FEWEST_IMAGES, MOST_IMAGES + 1, dtype=float)
    values = np.asarray(list(accuracies), dtype=float)
    for accuracy in np.unique(values[np.isfinite(values)]):
        right = accuracy * images / 100
        images = images[np.abs(right - np.rint(right)) <= _ROUNDING * images / 100]
        if not len(images):
            return FINEST
    return 100 / float(images[0])


def hidden_rate(n: int, confidence: float = 0.95) -> float:
    """The rate of collapses (0 to 1) that ``n`` seeds without one can still hide.

    At a higher rate, ``n`` seeds would have shown one with probability ``confidence``.
    """
    return 1.0 if n < 1 else 1 - (1 - confidence) ** (1 / n)


def details(
    runs: pd.DataFrame,
    margin: float = 0.5,
    alpha: float = 0.05,
    looks: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    planned: Any = None,
    seeds: Sequence[int] | None = None,
    resolution: float | Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """What stands behind each row of ``verdicts`` with the same arguments, in the same order.

    Returns:
        The columns of ``CELL``; ``sd_difference`` (points); ``seeds`` and ``differences`` (tuples,
        all pairs so far); ``unpaired`` (tuple of seeds that have only one of the two runs);
        ``diverged``, ``collapsed`` and ``collapsed_none`` (tuples of seeds: accuracy not finite
        in either run, a layer without weights under the check, and under ``none``);
        ``smallest_p`` (after Holm; see ``smallest_p``); ``seeds_to_decide`` (a forecast, missing
        where the verdict is already there or cannot be foreseen), at ``alpha`` divided by the
        size of the family and by the looks; ``likely_look``, the first look with so many seeds
        (missing where that is none, or no looks were declared).
    """
    design = Design(margin, alpha, looks, shares, planned, seeds, resolution)
    pairs, table = pair_with_none(runs), check_table(runs, design)
    share = min(design.shares)
    groups = dict(list(pairs.groupby(CELL)))
    rows = []
    for row in table.to_dict("records"):
        group = groups.get(tuple(row[name] for name in CELL), pairs.head(0))
        counted = group[group["difference"].notna()]
        differences = counted["difference"].to_numpy()
        needed = look = None
        if row["verdict"] in ("undecided", "too_few_seeds"):
            needed = seeds_to_decide(differences, margin, alpha * share / len(table))
        if needed and design.looks:
            look = next((k for k, n in enumerate(design.looks, 1) if n >= needed), None)
        rows.append(
            {
                **{name: row[name] for name in CELL},
                "sd_difference": differences.std(ddof=1) if len(differences) > 1 else np.nan,
                "seeds": tuple(counted["seed"].tolist()),
                "differences": tuple(differences.tolist()),
                "unpaired": _seeds(group, ~(group["ran"] & group["ran_reference"])),
                "diverged": _seeds(group, group["diverged"] | group["diverged_reference"]),
                "collapsed": _seeds(group, group["collapsed"]),
                "collapsed_none": _seeds(group, group["collapsed_reference"]),
                "smallest_p": smallest_p(row["n"], len(table), share),
                "seeds_to_decide": needed,
                "likely_look": look,
            }
        )
    columns = [*CELL, "sd_difference", "seeds", "differences", "unpaired", "diverged"]
    columns += ["collapsed", "collapsed_none", "smallest_p", "seeds_to_decide", "likely_look"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"seeds_to_decide": "Int64", "likely_look": "Int64"})


def smallest_p(n: int, family: int = 1, share: float = 1.0) -> float:
    """Smallest two-sided p that ``n`` pairs can give without assuming a normal distribution.

    It is that of the sign-flip permutation test, ``2 / 2**n``, after Holm's correction (times the
    ``family``'s cells, for the smallest of them) and at a look that spends ``share`` of alpha.
    The t-test may go lower, but what it gains below this rests on the assumption.
    """
    return min(1.0, 2.0 / 2.0**n * family / share)


def seeds_to_decide(
    differences: Sequence[float], margin: float = 0.5, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """How many seeds in all would bring a verdict, if mean and spread stay as they are now.

    The smallest n at which either test of ``verdicts`` succeeds with probability ``power``. TOST's
    power is P(lower) + P(upper) - 1, from the noncentral t-distribution.

    Returns:
        The number, or None if it is above ``MAX_SEEDS`` or there are fewer than two differences.
    """
    values = np.asarray(differences, dtype=float)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return None
    mean, sd = values.mean(), values.std(ddof=1)
    if np.ptp(values) <= _ROUNDING:
        sd = FINEST / 2

    def chance(distance: float, n: int, level: float) -> float:
        if distance <= 0:
            return 0.0
        found = TTestPower().power(distance / sd, n, level, alternative="larger")
        # The noncentral t is undefined numerically only where the power is 1 to all digits.
        return 1.0 if np.isnan(found) else float(found)

    def decides(n: int) -> bool:
        lower, upper = (chance(margin + sign * mean, n, alpha) for sign in (1, -1))
        return max(chance(abs(mean), n, alpha / 2), lower + upper - 1) >= power

    found = bisect.bisect_left(range(2, MAX_SEEDS + 1), True, key=decides) + 2
    return found if found <= MAX_SEEDS else None


def explain(row: Mapping[str, object]) -> str:
    """One sentence for a row of ``verdicts`` or ``compare``, with the numbers behind the word.

    A row of several looks that also has ``likely_look`` (from ``details``) says at which look a
    verdict is likely. It promises no number of seeds: who then looks again spends alpha twice.
    """
    n, verdict = int(row["n"]), str(row["verdict"])
    word = verdict.replace("_", " ").capitalize()
    if verdict == "too_few_seeds":
        return f"{word}: {n} pair{'s' * (n != 1)} of runs, from which no p-value can be formed."
    numbers = (
        f"{row['mean_difference']:+.2f} points, 95 % interval "
        f"{row['ci95_low']:+.2f} to {row['ci95_high']:+.2f}, n = {n}"
    )
    if verdict == "unaffected":
        reason = (
            f"within ±{row['margin']:g} points, p = {row['p_equivalence_holm']:.2g} after Holm; "
            f"collapses in fewer than {100 * hidden_rate(n):.0f} % of runs could still be hidden"
        )
    elif verdict == "undecided":
        reason = f"these seeds cannot tell{_forecast(row)}"
    else:
        reason = f"different from zero, p = {row['p_difference_holm']:.2g} after Holm"
    return f"{word}: {numbers}; {reason}."


def _forecast(row: Mapping[str, object]) -> str:
    look, looks = int(row.get("look", 1)), int(row.get("looks", 1))
    if looks < 2:
        return ""
    if look >= looks:
        return ", and this was the last look"
    if "likely_look" not in row:
        return f" at look {look} of {looks}"
    likely = row["likely_look"]
    if pd.isna(likely):
        return f" at look {look} of {looks}, and perhaps not by the last one"
    return f" at look {look} of {looks}; look {max(int(likely), look + 1)} is likely to"


def pair_with_none(runs: pd.DataFrame) -> pd.DataFrame:
    """Each spoiled run beside the run of its seed with nothing spoiled; see ``measure``."""
    runs = prepare_runs(runs)
    spoiled = runs[runs["check"] != "none"]
    plain = runs[runs["check"] == "none"].drop(columns="check")
    plain = spoiled[CELL].drop_duplicates().merge(plain, on=[c for c in CELL if c != "check"])
    return _pair(spoiled, plain, CELL)


def pair_tickets(runs: pd.DataFrame, ticket: str, references: Sequence[str]) -> pd.DataFrame:
    """Each run of ``ticket`` beside the run of its seed of each reference; see ``measure``."""
    runs = prepare_runs(runs)
    plain = runs[runs["check"] == "none"].drop(columns="check")
    second = plain[plain["ticket"].isin(references)].rename(columns={"ticket": "reference"})
    second = second.assign(ticket=ticket)
    first = plain[plain["ticket"] == ticket].merge(
        pd.DataFrame({"reference": pd.Series(list(references), dtype=object)}), how="cross"
    )
    return _pair(first, second, _BY_TICKET)


def measure(
    pairs: pd.DataFrame,
    by: Sequence[str],
    design: Design,
    planned: pd.DataFrame | None = None,
    against_one_run: bool = False,
) -> pd.DataFrame:
    """Test the differences of every cell; no correction for the number of cells yet.

    Args:
        pairs: the columns ``by``, ``seed``, ``difference`` (points; NaN where there is no pair or
            it diverged), ``ran`` and ``ran_reference`` (booleans; all True if absent).
        design: with its resolution; see ``Design.resolved``.
        planned: the cells to measure, with the columns ``by``; those of ``pairs`` if None.
        against_one_run: see ``sequential_tests``.

    Returns:
        ``by``, ``n``, ``look``, ``looks``, ``sign`` and the numbers of ``sequential_tests``,
        sorted by ``by``.
    """
    by = list(by)
    cells = (pairs if planned is None else planned)[by].drop_duplicates()
    cells = cells.sort_values(by, ignore_index=True)
    order = sorted(set(pairs["seed"])) if design.seeds is None else list(design.seeds)
    columns = {seed: i for i, seed in enumerate(order)}
    pairs = pairs[pairs["seed"].isin(order)].merge(cells.assign(_cell=cells.index), on=by)
    at = pairs["_cell"].to_numpy(int), pairs["seed"].map(columns).to_numpy(int)
    differences = np.full((len(cells), len(order)), np.nan)
    differences[at] = pairs["difference"]
    ran = np.zeros(differences.shape, dtype=bool)
    ran[at] = pairs["ran"] & pairs["ran_reference"] if "ran" in pairs else True
    resolution = design.resolution or FINEST
    if isinstance(resolution, Mapping):
        resolution = cells["dataset"].map(resolution).fillna(FINEST).to_numpy(float)
    settings = design.margin, design.looks, design.shares, resolution
    found = sequential_tests(differences, ran, *settings, against_one_run=against_one_run)
    return cells.assign(**found, looks=len(design.shares)).astype({"sparsity": float})


def sequential_tests(
    differences: np.ndarray,
    ran: np.ndarray | None = None,
    margin: float = 0.5,
    looks: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    resolution: float | np.ndarray = FINEST,
    against_one_run: bool = False,
) -> dict[str, np.ndarray]:
    """The tests of many cells at once, over all looks that each has reached.

    A look counts for a cell only if all of its first seeds have run, and uses exactly those. The
    standard error is that of the t-test, with half a test image as the least standard deviation:
    equal differences on a coarse test set are no proof of a spread of zero. A p-value over looks
    is the smallest of theirs, each divided by its look's share of alpha (Bonferroni). A pair that
    diverged has no difference; the others decide whether there is one, but what was lost may have
    been bad, so no such look shows that nothing was lost (p = 1).

    Args:
        differences: points of accuracy, cells × seeds in the order in which they are run; NaN
            where there is none. There may be further axes in front.
        ran: whether both runs of a pair are there; those with a difference if None.
        margin, looks, shares: as in ``Design``.
        resolution: points of accuracy per test image, for all or for every cell.
        against_one_run: the differences are from one single run's value, whose own spread, taken
            to be ours, counts too (a prediction interval's standard error).

    Returns:
        Arrays, one value a cell. Of the last look reached: ``look`` (from 1; 0 if none), ``n``,
        ``mean_difference``, and intervals ``ci95_*``, ``ci90_*`` and ``ci_repeated_*`` (95 % over
        all looks); ``n`` and the mean are of all pairs where no look is reached. Over all looks
        reached, NaN if none has two differences: ``p_difference`` (the mean is not 0),
        ``p_equivalence`` (it lies within ±margin), ``p_noninferiority`` (above -margin),
        ``p_inferiority`` (below -margin) and ``p_beyond`` (outside ±margin); ``sign`` is the
        mean's (-1, 0 or 1) at the look that gave ``p_difference``.
    """
    differences = np.asarray(differences, dtype=float)
    ran = np.isfinite(differences) if ran is None else np.asarray(ran, dtype=bool)
    seeds, shape = differences.shape[-1], differences.shape[:-1]
    ends = [seeds] if looks is None else list(looks)
    shares = [1 / len(ends)] * len(ends) if shares is None else shares
    n, mean, _ = _moments(differences)
    result = {"n": n, "mean_difference": mean, "look": np.zeros(shape, dtype=int)}
    result |= {name: np.full(shape, np.nan) for name in [*_STATISTICS[1:], "sign"]}
    for look, (end, share) in enumerate(zip(ends, shares, strict=True), 1):
        if end > seeds:
            break
        part, here = differences[..., :end], ran[..., :end]
        n, mean, sd = _moments(part)
        reached = n >= 1 if looks is None else here.all(-1)
        lost = (here & ~np.isfinite(part)).any(-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            se = np.maximum(sd, np.asarray(resolution) / 2) * np.sqrt(1 / n + against_one_run)
            p = p_values(mean, se, n - 1, margin)
        for name in ("equivalence", "noninferiority"):
            p[name] = np.where(lost & np.isfinite(p[name]), 1.0, p[name])
        now = {"n": n, "mean_difference": mean, "look": np.full(shape, look)}
        for name, level in (("ci95", 0.05), ("ci90", 0.1), ("ci_repeated", 0.05 * share)):
            half = student.isf(level / 2, n - 1) * se
            now |= {f"{name}_low": mean - half, f"{name}_high": mean + half}
        for name, value in now.items():
            result[name] = np.where(reached, value, result[name])
        spent = {name: np.where(reached, np.minimum(p[name] / share, 1), np.nan) for name in p}
        before = result["p_difference"]
        first = (spent["difference"] < before) | (np.isnan(before) & reached)
        result["sign"] = np.where(first, np.sign(mean), result["sign"])
        for name, value in spent.items():
            result[f"p_{name}"] = np.fmin(result[f"p_{name}"], value)
    return result


def _moments(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean and standard deviation (n - 1) of the finite ones along the last axis."""
    there = np.isfinite(differences)
    n = there.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(there, differences, 0.0).sum(-1) / n
        deviations = np.where(there, differences - mean[..., None], 0.0)
        return n, mean, np.sqrt((deviations**2).sum(-1) / (n - 1))


def p_values(mean: Any, se: Any, df: Any, margin: float) -> dict[str, np.ndarray]:
    """t-tests of every question of ``QUESTIONS``, given means and standard errors (points)."""
    above, below = (mean + margin) / se, (mean - margin) / se
    not_below, not_above = student.sf(above, df), student.cdf(below, df)
    inferior, superior = student.cdf(above, df), student.sf(below, df)
    return {
        "difference": 2 * student.sf(np.abs(mean) / se, df),
        "equivalence": np.maximum(not_below, not_above),
        "noninferiority": not_below,
        "inferiority": inferior,
        "beyond": np.minimum(1, 2 * np.minimum(inferior, superior)),
    }


def paired_test(
    differences: Sequence[float], margin: float, resolution: float = FINEST
) -> dict[str, float]:
    """t-intervals and tests of one cell's differences, at one look; see ``sequential_tests``."""
    found = sequential_tests(np.array([differences], float), None, margin, resolution=resolution)
    return {"n": int(found["n"][0]), **{name: float(found[name][0]) for name in _STATISTICS}}


def judge(table: pd.DataFrame, design: Design) -> pd.DataFrame:
    """Add Holm's correction over the rows of ``table``, ``margin`` and ``verdict``.

    Equivalence is looked at first: a difference that is real yet within the margin was declared
    beforehand to be none.
    """
    adjusted = {f"p_{question}_holm": holm(table[f"p_{question}"]) for question in QUESTIONS}
    table = table.assign(**adjusted, margin=float(design.margin))
    words = words_of(
        table["p_difference_holm"], table["p_equivalence_holm"], table["sign"], design.alpha
    )
    return table.assign(verdict=words)


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


def _pair(first: pd.DataFrame, second: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    on = [*by, "seed"]
    values = ["test_accuracy", "collapsed", "diverged"]
    first, second = (side[[*on, *values]].assign(ran=True) for side in (first, second))
    pairs = first.merge(second, on=on, how="outer", suffixes=("", "_reference"))
    for flag in ("ran", "collapsed", "diverged"):
        for column in (flag, f"{flag}_reference"):
            pairs[column] = pairs[column].eq(True)
    difference = pairs["test_accuracy"] - pairs["test_accuracy_reference"]
    # An outer merge sorts by its keys, so sums of floats do not depend on the order of the runs.
    return pairs.assign(difference=difference)


def _seeds(group: pd.DataFrame, chosen: pd.Series) -> tuple:
    return tuple(group.loc[chosen, "seed"].tolist())
