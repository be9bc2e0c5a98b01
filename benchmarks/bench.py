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
# Seconds that each part takes on two AVX2 cores, for the estimate of what is left.
TYPICAL = {
    "training": 290,
    "portable": 150,
    "sharing": 90,
    "memory": 30,
    "scores": 60,
    "start": 20,
    "plan": 30,
    "resume": 15,
    "study": 150,
}


class Left:
    """An estimate of the time that is left, from how long what is done has taken."""

    def __init__(self, parts: list[str]):
        self.parts, self.done, self.started = parts, 0.0, time.monotonic()

    def __str__(self) -> str:
        typical = sum(TYPICAL[part] for part in self.parts) - self.done
        pace = (time.monotonic() - self.started) / self.done if self.done else 1.0
        return f"about {max(1, round(typical * pace / 60))} min left"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("results/benchmarks.csv"))
    parser.add_argument("--rounds", type=int, default=5, help="of the paired comparisons")
    parser.add_argument("--steps", type=int, help="of 128 images in each")
    device = prepare_device("auto", torch.get_num_threads())
    parts = {
        "training": lambda: loops.training_rows(device, args.rounds, args.steps),
        "portable": lambda: loops.portable_rows(args.rounds),
        "sharing": lambda: loops.sharing_rows(device, args.steps),
        "memory": lambda: loops.memory_rows(device),
        "scores": lambda: overhead.score_rows(device),
        "start": overhead.start_rows,
        "plan": overhead.plan_rows,
        "resume": lambda: overhead.resume_rows(args.rounds, args.out.parent),
        "study": overhead.study_rows,
    }
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    args = parser.parse_args()
    args.steps = args.steps or (6 if device.type == "cpu" else 100)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"{device_name(device)}; torch {torch.__version__}")
    left = Left(args.only)
    with open(args.out, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for part in args.only:
            print(f"{part}: {left}", flush=True)
            for name, model, value, unit, times, share in parts[part]():
                print(
                    f"{name:42} {model:12} {value:10.4g} {unit:10} {times:>6} {share:>6}",
                    flush=True,
                )
                table.writerow((name, model, f"{value:.4g}", unit, times, share))
                file.flush()
            left.done += TYPICAL[part]


if __name__ == "__main__":
    main()
