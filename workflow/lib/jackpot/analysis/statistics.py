"""Does a ticket need an ingredient: yes, no, or can these seeds not tell?

A check is compared with the same ticket left alone (``none``), seed by seed. Two questions are
asked of the differences in test accuracy (in points): are they different from zero (paired
t-test), and do they lie within a margin that was declared beforehand (two one-sided t-tests,
TOST; Schuirmann 1987)? Each question's p-values are corrected by Holm's method (Holm 1979) over
all rows of one call. ``docs/statistics.md`` says the same for readers who do not read code.
"""

import bisect
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from jackpot.errors import JackpotError

CELL = ["dataset", "model", "ticket", "check", "sparsity"]
COLUMNS = [
    *CELL,
    *("n", "mean_difference", "ci95_low", "ci95_high", "ci90_low", "ci90_high"),
    *("p_difference", "p_equivalence", "p_difference_holm", "p_equivalence_holm"),
    *("margin", "verdict"),
]
VERDICTS = ("unaffected", "degraded", "improved", "undecided", "too_few_seeds")
MAX_SEEDS = 1000

_STATISTICS = [
    *("mean_difference", "ci95_low", "ci95_high", "ci90_low", "ci90_high"),
    *("p_difference", "p_equivalence", "p_noninferiority"),
]
# Accuracies are shares of a test set; differences closer than this differ by rounding alone.
_ROUNDING = 1e-9


def verdicts(runs: pd.DataFrame, margin: float = 0.5, alpha: float = 0.05) -> pd.DataFrame:
    """One row per dataset, model, ticket, check and sparsity, with a verdict each.

    Args:
        runs: rows of ``runs.csv``; needs the five columns of ``CELL``, ``seed`` and
            ``test_accuracy`` (percent). Row order and further columns change nothing.
        margin: the largest difference, in points of accuracy, that counts as none.
        alpha: error rate of each family of tests, after Holm.

    Returns:
        The columns of ``COLUMNS``, sorted by cell. ``ci95`` and ``ci90`` are 95 % and 90 %
        t-intervals whatever ``alpha`` is. What cannot be computed is NaN.

    Raises:
        JackpotError: columns are missing, values unusable, or a run is there twice.
    """
    _require_levels(margin, alpha)
    return judge(measure(pair_with_none(runs), CELL, margin), margin, alpha)[COLUMNS]


def compare(
    runs: pd.DataFrame,
    ticket: str,
    references: Sequence[str],
    margin: float = 0.5,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Compare a ticket with others at the same dataset, model and sparsity, nothing spoiled.

    Returns:
        The columns of ``COLUMNS`` with ``reference`` in place of ``check``, and
        ``p_noninferiority`` with its Holm value: one one-sided paired t-test of "``ticket`` is
        worse than ``reference`` by ``margin`` or more". All references are one Holm family.

    Raises:
        JackpotError: as for ``verdicts``.
    """
    _require_levels(margin, alpha)
    by = ["dataset", "model", "ticket", "reference", "sparsity"]
    pairs = pair_tickets(runs, ticket, references)
    table = judge(measure(pairs, by, margin), margin, alpha)
    extra = ["p_noninferiority", "p_noninferiority_holm"]
    return table[[*by, *COLUMNS[len(CELL) :], *extra]]


def details(runs: pd.DataFrame, margin: float = 0.5, alpha: float = 0.05) -> pd.DataFrame:
    """What stands behind each row of ``verdicts(runs, margin, alpha)``, in the same order.

    Returns:
        The columns of ``CELL``; ``sd_difference`` (points); ``seeds`` and ``differences`` (tuples,
        the pairs that count); ``unpaired`` (tuple of seeds that have only one of the two runs);
        ``diverged``, ``collapsed`` and ``collapsed_none`` (tuples of seeds: accuracy not finite
        in either run, a layer without weights under the check, and under ``none``);
        ``smallest_p`` (see ``smallest_p``); ``seeds_to_decide`` (missing where the verdict is
        already there or cannot be foreseen), at ``alpha`` divided by the size of the family.
    """
    _require_levels(margin, alpha)
    pairs = pair_with_none(runs)
    table = judge(measure(pairs, CELL, margin), margin, alpha)
    share = alpha / max(1, int(table["p_difference"].notna().sum()))
    open_rows = table["verdict"].isin(["undecided", "too_few_seeds"])
    rows = []
    for (cell, group), is_open in zip(pairs.groupby(CELL), open_rows, strict=True):
        counted = group[group["difference"].notna()]
        differences = counted["difference"].to_numpy()
        rows.append(
            {
                **dict(zip(CELL, cell, strict=True)),
                "sd_difference": differences.std(ddof=1) if len(differences) > 1 else np.nan,
                "seeds": tuple(counted["seed"].tolist()),
                "differences": tuple(differences.tolist()),
                "unpaired": _seeds(group, ~(group["ran"] & group["ran_reference"])),
                "diverged": _seeds(group, group["diverged"] | group["diverged_reference"]),
                "collapsed": _seeds(group, group["collapsed"]),
                "collapsed_none": _seeds(group, group["collapsed_reference"]),
                "smallest_p": smallest_p(len(differences)),
                "seeds_to_decide": seeds_to_decide(differences, margin, share) if is_open else None,
            }
        )
    columns = [*CELL, "sd_difference", "seeds", "differences", "unpaired", "diverged"]
    columns += ["collapsed", "collapsed_none", "smallest_p", "seeds_to_decide"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({"seeds_to_decide": "Int64"})


def smallest_p(n: int) -> float:
    """Smallest two-sided p that ``n`` pairs can give without assuming a normal distribution.

    It is that of the sign-flip permutation test, ``2 / 2**n``: the t-test may go lower, but what
    it gains below this rests on the assumption.
    """
    return min(1.0, 2.0 / 2.0**n)


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
        return 2 if abs(mean) <= _ROUNDING else 3

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

    A row that also has ``seeds_to_decide`` (from ``details``) says how many more seeds it takes.
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
        reason = f"within ±{row['margin']:g} points, p = {row['p_equivalence_holm']:.2g} after Holm"
    elif verdict == "undecided":
        needed = row.get("seeds_to_decide")
        reason = "these seeds cannot tell"
        if "seeds_to_decide" in row:
            unknown = f"more than {MAX_SEEDS} seeds would be needed"
            more = f"about {needed - n} more seeds would" if pd.notna(needed) else unknown
            reason = f"{reason}; at this spread {more}"
    else:
        reason = f"different from zero, p = {row['p_difference_holm']:.2g} after Holm"
    return f"{word}: {numbers}; {reason}."


def pair_with_none(runs: pd.DataFrame) -> pd.DataFrame:
    """Each spoiled run beside the run of its seed with nothing spoiled; see ``measure``."""
    runs = clean(runs)
    spoiled = runs[runs["check"] != "none"]
    plain = runs[runs["check"] == "none"].drop(columns="check")
    plain = spoiled[CELL].drop_duplicates().merge(plain, on=[c for c in CELL if c != "check"])
    return _pair(spoiled, plain, CELL)


def pair_tickets(runs: pd.DataFrame, ticket: str, references: Sequence[str]) -> pd.DataFrame:
    """Each run of ``ticket`` beside the run of its seed of each reference; see ``measure``."""
    runs = clean(runs)
    plain = runs[runs["check"] == "none"].drop(columns="check")
    second = plain[plain["ticket"].isin(references)].rename(columns={"ticket": "reference"})
    second = second.assign(ticket=ticket)
    first = plain[plain["ticket"] == ticket].merge(
        pd.DataFrame({"reference": pd.Series(list(references), dtype=object)}), how="cross"
    )
    return _pair(first, second, ["dataset", "model", "ticket", "reference", "sparsity"])


def measure(pairs: pd.DataFrame, by: Sequence[str], margin: float) -> pd.DataFrame:
    """Test the differences of every cell; no correction for the number of cells yet.

    Args:
        pairs: the columns ``by`` and ``difference`` (points; NaN where there is no pair).

    Returns:
        ``by``, ``n``, ``mean_difference``, the intervals and ``p_*``, sorted by ``by``.
    """
    rows = [
        {**dict(zip(by, cell, strict=True)), **paired_test(differences.dropna().array, margin)}
        for cell, differences in pairs.groupby(list(by))["difference"]
    ]
    table = pd.DataFrame(rows, columns=[*by, "n", *_STATISTICS])
    return table.astype({"sparsity": float, "n": int, **dict.fromkeys(_STATISTICS, float)})


def paired_test(differences: Sequence[float], margin: float) -> dict[str, float]:
    """t-intervals, paired t-test, TOST and non-inferiority test of one cell's differences.

    Where all differences are equal the t statistic has no denominator and its limit is taken: an
    interval of no width, p = 0 for what the mean shows and 1 for what it does not. Two equal
    differences other than zero are too easily chance (one test image more, twice), so n = 2
    has no p there.
    """
    values = np.asarray(differences, dtype=float)
    n = len(values)
    result = {"n": n, **dict.fromkeys(_STATISTICS, np.nan)}
    if n == 0:
        return result
    mean = values.mean()
    result["mean_difference"] = mean
    if n < 2:
        return result
    if np.ptp(values) <= _ROUNDING:
        return {**result, **_constant(n, round(mean, 9), margin)}
    sample = DescrStatsW(values)
    p_equivalence, (_, p_noninferiority, _), _ = sample.ttost_mean(-margin, margin)
    low95, high95 = sample.tconfint_mean(0.05)
    low90, high90 = sample.tconfint_mean(0.10)
    numbers = (low95, high95, low90, high90, sample.ttest_mean(0.0)[1])
    return {
        **result,
        **dict(zip(_STATISTICS[1:], (*numbers, p_equivalence, p_noninferiority), strict=True)),
    }


def _constant(n: int, mean: float, margin: float) -> dict[str, float]:
    if n == 2 and mean != 0:
        return {}
    return {
        **dict.fromkeys(("ci95_low", "ci95_high", "ci90_low", "ci90_high"), mean),
        "p_difference": float(mean == 0),
        "p_equivalence": float(abs(mean) >= margin),
        "p_noninferiority": float(mean <= -margin),
    }


def judge(table: pd.DataFrame, margin: float, alpha: float) -> pd.DataFrame:
    """Add Holm's correction over the rows of ``table``, ``margin`` and ``verdict``.

    Equivalence is looked at first: a difference that is real yet within the margin was declared
    beforehand to be none.
    """
    questions = ("difference", "equivalence", "noninferiority")
    adjusted = {f"p_{question}_holm": holm(table[f"p_{question}"]) for question in questions}
    table = table.assign(**adjusted, margin=float(margin))
    different = table["p_difference_holm"] <= alpha
    choices = {
        "too_few_seeds": table["p_difference"].isna(),
        "unaffected": table["p_equivalence_holm"] <= alpha,
        "degraded": different & (table["mean_difference"] < 0),
        "improved": different & (table["mean_difference"] > 0),
    }
    words = np.select(list(choices.values()), list(choices), default="undecided")
    return table.assign(verdict=words)


def holm(p: pd.Series) -> pd.Series:
    """Holm's adjusted p-values; what is NaN stays so and does not count in the family.

    The same as statsmodels' ``multipletests``, which runs a full garbage collection on every
    call: a simulation of thousands of studies would spend hours in it.
    """
    defined = p.dropna().sort_values(kind="stable")
    stepped = defined.to_numpy(float) * np.arange(len(defined), 0, -1)
    adjusted = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return pd.Series(adjusted, index=defined.index).reindex(p.index)


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


def clean(runs: pd.DataFrame) -> pd.DataFrame:
    """The columns of ``runs`` that count here, checked; ``diverged`` marks accuracies not finite.

    ``collapsed`` is False throughout if ``runs`` does not have it.

    Raises:
        JackpotError: columns are missing, values unusable, or a run is there twice.
    """
    needed = [*CELL, "seed", "test_accuracy"]
    if not len(runs.columns):
        runs = runs.reindex(columns=needed)
    missing = [column for column in needed if column not in runs.columns]
    if missing:
        raise JackpotError(
            f"the table of runs lacks the column(s) {', '.join(missing)}. "
            "Use the runs.csv that the rule collect writes."
        )
    key = [*CELL, "seed"]
    runs = runs[[*needed, *(["collapsed"] if "collapsed" in runs.columns else [])]]
    empty = [column for column in key if runs[column].isna().any()]
    if empty:
        raise JackpotError(
            f"the table of runs has empty fields in {', '.join(empty)}. Make runs.csv anew."
        )
    try:
        numbers = {name: pd.to_numeric(runs[name]) for name in ("sparsity", "test_accuracy")}
    except (ValueError, TypeError) as error:
        raise JackpotError(
            f"the table of runs has a field that is not a number: {error}."
        ) from None
    accuracy = numbers["test_accuracy"].astype(float)
    accuracy = accuracy.where(np.isfinite(accuracy))
    collapsed = runs["collapsed"] if "collapsed" in runs.columns else pd.Series(False, runs.index)
    runs = runs.assign(
        **{name: runs[name].astype(str) for name in ("dataset", "model", "ticket", "check")},
        # 1 - 0.9 and 0.1 are the same sparsity.
        sparsity=numbers["sparsity"].astype(float).round(9),
        test_accuracy=accuracy,
        diverged=accuracy.isna(),
        collapsed=collapsed.astype(str).str.lower().isin(["true", "1", "1.0"]),
    )
    twice = runs[runs.duplicated(key)]
    if len(twice):
        named = "; ".join(
            " ".join(str(value) for value in row) for row in twice[key].head(5).to_numpy().tolist()
        )
        raise JackpotError(
            f"{len(twice)} run(s) are in the table twice: {named}. "
            "Keep one row a run, and give one study at a time."
        )
    return runs


def _require_levels(margin: float, alpha: float) -> None:
    if not (np.isfinite(margin) and margin > 0):
        raise JackpotError(f"margin is {margin}: it must be above 0 points of accuracy.")
    if not 0 < alpha < 0.5:
        raise JackpotError(f"alpha is {alpha}: it must lie between 0 and 0.5.")
