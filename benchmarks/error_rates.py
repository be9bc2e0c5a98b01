"""How often the words of a verdict are wrong: the figures of docs/statistics.md, by simulation.

    python benchmarks/error_rates.py            # 20,000 made-up cells a line; about half a minute

One cell by itself, at level 0.05, margin 1 point, spread of differences 1 point. A difference is
found wrongly where the true one is 0; equivalence, where it is the margin, below or above.
"""

import argparse
from collections.abc import Callable

import numpy as np

from jackpot.analysis.sequential import sequential_tests, words_of

ALPHA, MARGIN, SPREAD = 0.05, 1.0, 1.0
LOOKS = (5, 10, 20, 40)
EVERY = tuple(range(LOOKS[0], LOOKS[-1] + 1))
# Looks, and the shares of alpha that they spend.
DESIGNS = {
    "one, at 20 seeds": ((20,), None),
    f"at {', '.join(map(str, LOOKS))} seeds, a quarter of alpha each": (LOOKS, None),
    "the same, all of alpha at each": (LOOKS, [1.0] * len(LOOKS)),
    "at every number of seeds from 5 to 40, all of alpha at each": (EVERY, [1.0] * len(EVERY)),
}
DIFFERENT = ("degraded", "improved")
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """No skewness."""
    return rng.normal(size=shape)


def skewed(skewness: float) -> Draw:
    """Gamma noise turned round, of mean 0, spread 1 and this negative skewness."""
    k = 4 / skewness**2

    def draw(rng, shape):
        return (k - rng.gamma(k, size=shape)) / k**0.5

    return draw


def wrong(rng, cells, looks, shares, draw=normal, alpha=ALPHA) -> tuple[float, float]:
    """Percent of cells with a wrong p: of equivalence at the worse margin, of a difference at 0."""

    def rejected(question, true):
        differences = true + SPREAD * draw(rng, (cells, looks[-1]))
        found = sequential_tests(differences, None, MARGIN, looks, shares)
        return 100 * np.mean(found[f"p_{question}"] <= alpha)

    equivalence = max(rejected("equivalence", true) for true in (-MARGIN, MARGIN))
    return equivalence, rejected("difference", 0.0)


def stopped(rng, true, cells, at_once: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Words, seeds and means of cells that stop at any difference, or as the product has it."""
    share = [1 / len(LOOKS)] * len(LOOKS)
    differences = np.asarray(true)[:, None] + SPREAD * normal(rng, (cells, LOOKS[-1]))
    said = np.full(cells, "undecided", dtype=object)
    seeds, means = np.zeros(cells, int), np.zeros(cells)
    going = np.ones(cells, bool)
    for look, n in enumerate(LOOKS, 1):
        part = np.where(np.arange(LOOKS[-1]) < n, differences, np.nan)
        found = sequential_tests(part, None, MARGIN, LOOKS, share)
        now = words_of(found["p_difference"], found["p_equivalence"], found["sign"], ALPHA)
        mean = found["mean_difference"]
        said[going], seeds[going], means[going] = now[going], n, mean[going]
        far = np.isin(now, DIFFERENT) & (at_once | (np.abs(mean) >= MARGIN))
        going &= ~((now == "unaffected") | far) & (look < len(LOOKS))
    return said, seeds, means


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng, cells = np.random.default_rng(args.seed), args.cells

    print("| looks | equivalence, wrongly | a difference, wrongly |\n|---|---|---|")
    for name, (looks, shares) in DESIGNS.items():
        a, b = wrong(rng, cells, looks, shares)
        print(f"| {name} | {a:.1f} % | {b:.1f} % |", flush=True)

    print("\n| skewness of differences | equivalence, wrongly | in any of 86 cells, at 0.05 / 86 |")
    print("|---|---|---|")
    for skewness in (0.0, -0.5, -1.0):
        draw = skewed(skewness) if skewness else normal
        row = [
            max(wrong(rng, times * cells, (n,), None, draw=draw, alpha=alpha)[0] for n in (7, 14))
            for alpha, times in ((ALPHA, 1), (ALPHA / 86, 20))
        ]
        print(
            f"| {skewness:g} | {row[0]:.1f} % | {100 - 100 * (1 - row[1] / 100) ** 86:.1f} % |",
            flush=True,
        )

    inside = rng.uniform(-MARGIN, MARGIN, cells)
    for at_once, rule in ((True, "at any difference"), (False, "at a mean beyond the margin")):
        said, seeds, _ = stopped(rng, inside, cells, at_once)
        share = 100 * np.mean(np.isin(said, DIFFERENT))
        print(
            f"\nTrue differences uniform within the margin, stopping at `unaffected` and {rule}: "
            f"{share:.1f} % called different, {seeds.mean():.1f} seeds a cell."
        )
    true = rng.uniform(-3, 3, cells)
    said, _, means = stopped(rng, true, cells, False)
    decided = np.isin(said, DIFFERENT)
    bias = np.mean(np.sign(true[decided]) * (means - true)[decided]) / SPREAD
    print(f"\nMeans of cells called different lie {bias:+.3f} spreads further out than the truth.")


if __name__ == "__main__":
    main()
