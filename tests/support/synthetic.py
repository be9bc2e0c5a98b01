"""Made-up results that look like real ones: runs, histories, layers, verdicts and about.

Every number is drawn from a seeded generator, so a test can ask for any size of study and get the
same tables again.
"""

from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pandas as pd

from jackpot.analysis.claim import Claim, not_worse
from jackpot.analysis.claims import ClaimResult
from jackpot.analysis.frames import CELL
from jackpot.analysis.statistics import verdicts

CHECKS_OF = {
    "snip": ["random_labels", "random_pixels", "corrupted_data", "rearranged", "reinitialized"],
    "grasp": ["random_labels", "random_pixels", "corrupted_data", "rearranged", "reinitialized"],
    "synflow": ["rearranged", "reinitialized"],
    "lottery": ["corrupted_data", "half_dataset", "rearranged", "shuffled_weights"],
    "random": [],
    "random_uniform": [],
    "weight_rewinding": ["half_dataset", "shuffled_weights", "rearranged"],
    "lr_rewinding": ["corrupted_data", "half_dataset", "shuffled_weights", "rearranged"],
    "hybrid": ["half_dataset", "rearranged"],
}
DATA_CHECKS = {"random_labels", "random_pixels", "corrupted_data", "half_dataset"}
NEEDS = {"weight_rewinding", "lr_rewinding"}


@dataclass
class Made:
    """The inputs of the figures, the tables and the page."""

    runs: pd.DataFrame
    histories: pd.DataFrame
    layers: pd.DataFrame
    verdicts: pd.DataFrame
    about: dict = field(default_factory=dict)


def make_study(
    datasets=("digits",),
    models=("resnet8",),
    tickets=tuple(CHECKS_OF),
    sparsities=(0.9, 0.98),
    seeds=(0, 1, 2),
    layers=9,
    epochs=20,
    missing=0.0,
    collapsed=0.0,
    diverged=0.0,
    random_seed=0,
) -> Made:
    """Made-up results; ``missing``, ``collapsed`` and ``diverged`` are shares of the runs."""
    rng = np.random.default_rng(random_seed)
    cells = _cells(tickets, sparsities)
    runs = [
        _run(rng, dataset, model, *cell, seed)
        for dataset, model in product(datasets, models)
        for cell in cells
        for seed in seeds
    ]
    frame = pd.DataFrame(runs)
    expected = [{**{key: row[key] for key in [*CELL, "seed"]}, "path": _path(row)} for row in runs]
    pruned = frame.ticket != "dense"
    _spoil(frame, rng, pruned & (frame.sparsity == max(sparsities)), collapsed, "collapsed")
    _spoil(frame, rng, pruned, diverged, "diverged")
    gone = rng.random(len(frame)) < missing
    frame = frame[~gone].reset_index(drop=True)
    return Made(
        runs=frame,
        histories=_histories(frame, rng, epochs),
        layers=_layers(frame, rng, layers),
        verdicts=verdicts(frame),
        about=_about(datasets, models, tickets, sparsities, seeds, expected),
    )


def _cells(tickets, sparsities):
    pruned = [
        (ticket, check, sparsity)
        for ticket in tickets
        for check in ["none", *CHECKS_OF.get(ticket, ["rearranged"])]
        for sparsity in sparsities
    ]
    return [("dense", "none", 0.0), *pruned]


def _run(rng, dataset, model, ticket, check, sparsity, seed):
    base = 96 - 3 * (len(model) % 4) - 12 * sparsity**8
    if ticket == "dense":
        base += 1
    if ticket == "random_uniform":
        base -= 9 * sparsity**8
    if ticket in NEEDS and check in DATA_CHECKS | {"shuffled_weights"}:
        base -= 4
    accuracy = base + rng.normal(0, 0.35)
    return {
        "study": "made_up",
        "dataset": dataset,
        "model": model,
        "ticket": ticket,
        "check": check,
        "sparsity": sparsity,
        "seed": seed,
        "test_accuracy": round(accuracy, 2),
        "test_loss": round(float(rng.uniform(0.2, 0.6)), 4),
        "best_test_accuracy": round(accuracy + abs(rng.normal(0, 0.2)), 2),
        "density": 1 - sparsity,
        "collapsed": False,
        "epochs": 160,
        "seconds": round(float(rng.uniform(20, 40)), 1),
        "images_per_second": round(float(rng.uniform(800, 1200)), 1),
        "device": "cpu",
        "precision": "float32",
    }


def _path(run):
    return (
        f"results/made_up/runs/{run['dataset']}/{run['model']}/{run['ticket']}/{run['check']}"
        f"/sparsity{run['sparsity']:g}/seed{run['seed']}/metrics.json"
    )


def _spoil(frame, rng, allowed, share, how):
    chosen = allowed & (rng.random(len(frame)) < share)
    if how == "collapsed":
        frame.loc[chosen, "collapsed"] = True
        frame.loc[chosen, ["test_accuracy", "best_test_accuracy"]] = 10.0
    else:
        frame.loc[chosen, ["test_accuracy", "test_loss"]] = np.nan


def _histories(runs, rng, epochs):
    columns = {key: np.repeat(runs[key].to_numpy(), epochs) for key in [*CELL, "seed"]}
    epoch = np.tile(np.arange(epochs), len(runs))
    final = np.repeat(runs.test_accuracy.to_numpy(), epochs)
    rise = 1 - 0.85 * np.exp(-4 * epoch / max(epochs, 1))
    noise = rng.normal(0, 0.6, len(epoch)) * (epoch < epochs - 1)
    return pd.DataFrame(
        {
            **columns,
            "epoch": epoch,
            "lr": 0.1 * 0.1 ** ((epoch >= epochs // 2).astype(float) + (epoch >= 3 * epochs // 4)),
            "train_loss": 2.3 * np.exp(-3 * epoch / epochs),
            "train_accuracy": np.minimum(final * rise + 3, 100),
            "test_loss": 2.3 * np.exp(-2.5 * epoch / epochs),
            "test_accuracy": final * rise + noise,
            "seconds": 0.2,
        }
    )


def _layers(runs, rng, count):
    pruned = runs[runs.ticket != "dense"]
    totals = (64 * 4 ** np.linspace(0, 4, count)).astype(int)
    shape = np.linspace(1.8, 0.5, count)
    rows = []
    for run in pruned.itertuples():
        moved = 1 + 0.05 * rng.normal(size=count) * (run.check in DATA_CHECKS)
        ratio = np.ones(count) if run.ticket == "random_uniform" else shape * moved
        kept = np.minimum(totals, np.round(totals * ratio * (1 - run.sparsity))).astype(int)
        if run.collapsed:
            kept[count // 2] = 0
        key = {name: getattr(run, name) for name in [*CELL, "seed"]}
        rows += [
            {
                **key,
                "position": position,
                "layer": f"blocks.{position}.conv.weight",
                "total": int(totals[position]),
                "kept": int(kept[position]),
            }
            for position in range(count)
        ]
    columns = [*CELL, "seed", "position", "layer", "total", "kept"]
    return pd.DataFrame(rows, columns=columns)


def _about(datasets, models, tickets, sparsities, seeds, expected):
    return {
        "study": {
            "name": "made_up",
            "description": "A made-up study for the tests of the figures and the page.",
            "datasets": list(datasets),
            "models": list(models),
            "sparsities": list(sparsities),
            "seeds": list(seeds),
            "statistics": {"margin": 0.5, "alpha": 0.05},
        },
        "expected_runs": expected,
        "command": "snakemake --cores all --config study=studies/made_up.yaml",
        "provenance": {
            "versions": {"python": "3.11.2", "torch": "2.13.0", "numpy": "2.4.6"},
            "devices": ["cpu, 2 cores, Made-Up Processor 3000"],
            "fingerprints": {"training": "9f2c" * 16, "pruning": "77ab" * 16},
            "sources": {name: {"kind": name, "sha256": "ab12" * 16} for name in datasets},
            "deviations": ["random_pixels: scope rows, as mlrc2020's SNIP code does"],
        },
    }


def claimed(
    sentence="Initial tickets do not need the data", verdict="held", rows=(), outcome=not_worse
):
    """A claim as it was found, with these cells."""
    claim = Claim("data", sentence, "su2020, section 4", "By a test.", None, outcome)
    table = pd.DataFrame(rows)
    usual = {"outcome": verdict, "ran": True, "effect": False, "mean_difference": -0.02, "n": 3}
    for name, value in {**usual, "ci95_low": -1.0, "ci95_high": 1.0}.items():
        table[name] = table.get(name, value)
    return ClaimResult(claim, verdict, table)


def verdict_rows(*rows):
    """Cells with a verdict each: ``(ticket, check, sparsity, verdict)``."""
    columns = ["dataset", "model", "ticket", "check", "sparsity", "verdict"]
    frame = pd.DataFrame([("d", "m", *row) for row in rows], columns=columns)
    return frame.assign(mean_difference=-0.5, n=3, small=False)
