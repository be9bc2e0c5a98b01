"""Made-up runs of which a verdict is asked."""

import pandas as pd

from jackpot.analysis.statistics import (
    CELL,
    verdicts,
)

CHECKS = {"rearranged": 0.0, "random_labels": -0.4, "random_pixels": 0.9, "corrupted_data": -3.0}


def make_runs(accuracies, ticket="snip", sparsity=0.9, model="vgg19"):
    """Runs from {check: [accuracy of seed 0, 1, ...]}; None leaves the run out."""
    return pd.DataFrame(
        [
            ("digits", model, ticket, check, sparsity, seed, accuracy)
            for check, values in accuracies.items()
            for seed, accuracy in enumerate(values)
            if accuracy is not None
        ],
        columns=[*CELL, "seed", "test_accuracy"],
    )


def noisy_runs(rng, seeds=5, sd=0.3, ticket="snip", effects=CHECKS, **cell):
    base = rng.normal(90, 2, seeds)
    spoiled = {c: base + effect + rng.normal(0, sd, seeds) for c, effect in effects.items()}
    return make_runs({"none": base, **spoiled}, ticket, **cell)


def only_row(frame):
    assert len(frame) == 1
    return frame.iloc[0]


def one_check(none, spoiled, **levels):
    return only_row(verdicts(make_runs({"none": none, "rearranged": spoiled}), **levels))
