"""How fast the engine is, beside the conventional loop and the machine's own limit.

    make bench            (or: python benchmarks/bench.py --only training scores)

Every comparison is paired: the variants run in turn, A B A B, and medians over the rounds are
quoted, so a machine whose speed drifts favours none. Images are random; speed does not depend on
what they show. The limit is what the machine's own matrix-product rate, in the best number format
that it has instructions for, would allow for the network's operations, were everything else free.
"""

import argparse
import csv
import time
from pathlib import Path

import loops
import overhead
import torch

from jackpot.training.device import device_name, prepare_device

COLUMNS = ("name", "model", "value", "unit", "times_conventional", "of_limit")
# What is measured, and the seconds that it takes on two AVX2 cores, to estimate what is left.
PARTS = {
    "training": (290, lambda args: loops.training_rows(args.device, args.rounds, args.steps)),
    "portable": (150, lambda args: loops.portable_rows(args.rounds)),
    "sharing": (90, lambda args: loops.sharing_rows(args.device, args.steps)),
    "memory": (30, lambda args: loops.memory_rows(args.device)),
    "scores": (60, lambda args: overhead.score_rows(args.device)),
    "start": (20, lambda args: overhead.start_rows()),
    "plan": (30, lambda args: overhead.plan_rows()),
    "resume": (15, lambda args: overhead.resume_rows(args.rounds, args.out.parent)),
    "study": (150, lambda args: overhead.study_rows()),
}


class Left:
    """An estimate of the time that is left, from how long what is done has taken."""

    def __init__(self, parts: list[str]):
        self.typical = sum(PARTS[part][0] for part in parts)
        self.done, self.started = 0.0, time.monotonic()

    def __str__(self) -> str:
        typical = self.typical - self.done
        pace = (time.monotonic() - self.started) / self.done if self.done else 1.0
        return f"about {max(1, round(typical * pace / 60))} min left"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks.csv"))
    parser.add_argument("--rounds", type=int, default=5, help="of the paired comparisons")
    parser.add_argument("--steps", type=int, help="of 128 images in each")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    args = parser.parse_args()
    args.device = prepare_device("auto", torch.get_num_threads())
    args.steps = args.steps or (6 if args.device.type == "cpu" else 100)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{device_name(args.device)}; torch {torch.__version__}")
    left = Left(args.only)
    with open(args.out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for part in args.only:
            print(f"{part}: {left}", flush=True)
            seconds, measured = PARTS[part]
            for name, model, value, unit, times, share in measured(args):
                print(
                    f"{name:42} {model:12} {value:10.4g} {unit:10} {times:>6} {share:>6}",
                    flush=True,
                )
                table.writerow((name, model, f"{value:.4g}", unit, times, share))
                file.flush()
            left.done += seconds


if __name__ == "__main__":
    main()
