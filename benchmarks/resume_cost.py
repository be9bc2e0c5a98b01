"""What resume files cost, as a share of training time at the default interval of 5 minutes.

    python benchmarks/resume_cost.py [--pairs 5] [--rounds 3] [--folder .]

Two measurements. (1) One save of the largest network of the papers (VGG19, weights, momenta and
one snapshot), fsync included, against the 5 minutes of training that it protects. (2) Pairs of the
same training, with and without a resume file, in turn: a training shorter than the interval saves
nothing, and pays only for asking whether it is time. Numbers are the medians; the range is beside
them.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from jackpot.data.kinds import load_kind
from jackpot.models import build_model
from jackpot.models.initial import initial_state
from jackpot.randomness import generator
from jackpot.settings import Training
from jackpot.study.config import Resume
from jackpot.training.batches import to_device
from jackpot.training.device import device_name, prepare_device, versions
from jackpot.training.engine import _Run, cpu_state, train
from jackpot.training.resume import ResumeFile


def save_seconds(folder: Path, rounds: int) -> tuple[list[float], int]:
    """Seconds of each save of VGG19's state, and the file's size in bytes."""
    model = build_model("vgg19")
    resume = ResumeFile(folder / "vgg19.safetensors", "benchmark")
    run = _Run(model, Training(), None, resume)
    run.outcome.snapshots[40] = cpu_state(model)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run.save()
        seconds.append(time.perf_counter() - start)
    return seconds, resume.path.stat().st_size


def training_seconds(data, device, resume: ResumeFile | None) -> float:
    """Seconds of a training of a vgg5 on the digits: the shortest steps the project has."""
    settings = Training(epochs=12, crop_padding=1, flip=False)
    model = build_model("vgg5", in_channels=1, width=16)
    model.load_state_dict(initial_state(model.state_dict(), generator(0, "initialise")))
    images = to_device(data, "train", device), to_device(data, "test", device)
    start = time.perf_counter()
    train(model, *images, settings, seed=0, epochs=12, resume=resume)
    return time.perf_counter() - start


def spread(values: list[float], digits: int = 2) -> str:
    low, high = min(values), max(values)
    return f"{statistics.median(values):.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def run() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=".", help="on the disk that results are written to")
    args = parser.parse_args()
    device, interval = prepare_device("cpu"), 60 * Resume().minutes
    print(f"{device_name(device)}; torch {versions()['torch']}; interval {interval:g} s")
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        seconds, size = save_seconds(Path(folder), args.rounds)
        shares = [100 * s / (interval + s) for s in seconds]
        print(f"VGG19: {size / 2**20:.0f} MiB, {spread(seconds)} s a save, n={args.rounds}")
        print(f"VGG19: {spread(shares)} % of training time")
        data = load_kind("digits").read(None)
        without, with_file, ratios = [], [], []
        training_seconds(data, device, None)
        for number in range(args.pairs):
            resume = ResumeFile(Path(folder) / f"r{number}", "x", Resume().minutes)
            pair = {}
            # Each goes first in turn, so that a machine that warms up favours neither.
            for which in (None, resume) if number % 2 else (resume, None):
                pair[which is not None] = training_seconds(data, device, which)
            without.append(pair[False])
            with_file.append(pair[True])
            ratios.append(100 * (pair[True] / pair[False] - 1))
        print(
            f"digits, vgg5: {spread(without)} s without, {spread(with_file)} s with a resume file"
        )
        print(f"digits, vgg5: {spread(ratios)} % more time, n={args.pairs} pairs")


if __name__ == "__main__":
    sys.exit(run())
