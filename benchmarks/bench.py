"""How fast the engine is, beside the conventional loop and the machine's own limit.

    make bench            (or: python benchmarks/bench.py --only training scores)

Every comparison is paired: the variants run in turn, A B A B, and medians over the rounds are
quoted, so a machine whose speed drifts favours none. Images are random; speed does not depend on
what they show. The limit is what the machine's own matrix-product rate would allow for the
network's operations, were everything else free.
"""

import argparse
import csv
from pathlib import Path

import loops
import overhead
import torch

from jackpot.training.device import device_name, prepare_device

COLUMNS = ("name", "model", "value", "unit", "times_conventional", "of_limit")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks.csv"))
    parser.add_argument("--rounds", type=int, default=5, help="of the paired comparisons")
    parser.add_argument("--steps", type=int, help="of 128 images in each")
    device = prepare_device("auto", torch.get_num_threads())
    groups = {
        "training": lambda: loops.training_rows(args.rounds, args.steps),
        "sharing": lambda: loops.sharing_rows(device, args.steps),
        "memory": lambda: loops.memory_rows(device),
        "scores": lambda: overhead.score_rows(device),
        "start": overhead.start_rows,
        "plan": overhead.plan_rows,
        "resume": lambda: overhead.resume_rows(args.rounds, args.out.parent),
        "study": overhead.study_rows,
    }
    parser.add_argument("--only", nargs="+", choices=groups, default=list(groups))
    args = parser.parse_args()
    args.steps = args.steps or (12 if device.type == "cpu" else 100)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{device_name(device)}; torch {torch.__version__}")
    rows = []
    for group in args.only:
        for name, model, value, unit, times, share in groups[group]():
            print(f"{name:42} {model:10} {value:10.4g} {unit:10} {times:>6} {share:>6}", flush=True)
            rows.append((name, model, f"{value:.4g}", unit, times, share))
    with open(args.out, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
