"""Is accuracy paid for speed? bfloat16 against float32, the same random tickets, seed by seed.

    python benchmarks/precision.py [--cifar10 ARCHIVE] [--seeds 60] [--out results/precision.csv]

Random tickets at 90 % (smart ratios) are trained twice from the same weights on the same batches:
VGG5 on digits, in the default study's recipe of before commit a725570 (12 epochs, batches of 64,
images shifted by up to a pixel, steps), and, where an archive of CIFAR-10 as images is given, a
narrow ResNet8 on a class-balanced tenth of it. The test is the product's own: equivalent within 0.5
points, two one-sided paired t-tests at 5 %. Short trainings differ by a point or two from seed to
seed whatever the precision, hence the many seeds. Runs already in the file are not repeated.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from jackpot.analysis.sequential import paired_test
from jackpot.data.files import ImageData
from jackpot.data.kinds import load_kind
from jackpot.models import build_model
from jackpot.models.initial import initial_state
from jackpot.pruning.make_masks import make_masks
from jackpot.randomness import generator
from jackpot.settings import Training
from jackpot.training.batches import to_device
from jackpot.training.device import device_name, prepare_device, versions
from jackpot.training.engine import TrainingLoop, train

COLUMNS = ("dataset", "model", "seed", "precision", "test_accuracy", "seconds", "device", "torch")
MARGIN = 0.5


@dataclass
class Case:
    """One dataset and network."""

    dataset: str
    model: str
    options: dict
    data: ImageData
    training: Training


def cases(cifar10: Path | None, fraction: float, epochs: int) -> Iterator[Case]:
    short = Training(epochs=12, batch_size=64, weight_decay=5e-4, crop_padding=1, flip=False)
    yield Case("digits", "vgg5", {"width": 16}, load_kind("digits").read(None), short)
    if cifar10:
        data = _part(load_kind("image_folder").read(cifar10), fraction)
        settings = Training(epochs=epochs, batch_size=64, weight_decay=5e-4)
        name = f"cifar10 ({len(data.train_labels):,} training images)"
        yield Case(name, "resnet8", {"width": 8}, data, settings)


def _part(data: ImageData, fraction: float) -> ImageData:
    """The first images of every training class; the test split stays whole."""
    chosen = []
    for label in range(len(data.classes)):
        places = (data.train_labels == label).nonzero().flatten()
        chosen.append(places[: round(fraction * len(places))])
    kept = torch.cat(chosen)
    return replace(data, train_images=data.train_images[kept], train_labels=data.train_labels[kept])


def accuracy(case: Case, seed: int, precision: str, device: torch.device) -> tuple[float, float]:
    """Test accuracy of the last epoch, in percent, and seconds."""
    settings = case.training.model_copy(update={"precision": precision})
    channels = case.data.train_images.shape[1]
    model = build_model(case.model, len(case.data.classes), channels, **case.options)
    model.load_state_dict(initial_state(model.state_dict(), generator(seed, "initialise")))
    mask = make_masks(
        model,
        None,
        score="random",
        allocation="smart",
        sparsities=[0.9],
        generator=generator(seed, "prune"),
    )[0.9]
    images, test = (to_device(case.data, split, device) for split in ("train", "test"))
    model = model.to(device, memory_format=torch.channels_last)
    mask = {name: keep.to(device) for name, keep in mask.items()}
    # The whole test split once, at the end, rather than after every short epoch.
    few = replace(test, images=test.images[:100], labels=test.labels[:100])
    done = train(model, images, few, settings, seed=seed, epochs=settings.epochs, mask=mask)
    return TrainingLoop(model, settings, None, None).evaluate(test)[1], done.seconds


def report(path: Path) -> None:
    """Print the equivalence test of every dataset."""
    runs = pd.read_csv(path)
    by = ["dataset", "model"]
    for cell, group in runs.groupby(by):
        wide = group.pivot(index="seed", columns="precision", values="test_accuracy").dropna()
        test = paired_test((wide["bfloat16"] - wide["float32"]).tolist(), MARGIN)
        seconds = group.groupby("precision")["seconds"].median()
        print(
            f"{' '.join(cell)}: bfloat16 - float32 = {test['mean_difference']:+.2f} points, "
            f"90 % CI {test['ci90_low']:+.2f} to {test['ci90_high']:+.2f}, n = {test['n']}; "
            f"equivalent within {MARGIN}: p = {test['p_equivalence']:.2g}; "
            f"float32 {wide['float32'].mean():.2f} %; median seconds "
            f"{seconds['float32']:.1f} and {seconds['bfloat16']:.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cifar10", type=Path, help="folder or archive of images by class")
    parser.add_argument("--fraction", type=float, default=0.1, help="of CIFAR-10's training images")
    parser.add_argument("--epochs", type=int, default=10, help="on CIFAR-10")
    parser.add_argument("--seeds", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/precision.csv"))
    args = parser.parse_args()
    device = prepare_device("auto", args.threads)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    done = set()
    if args.out.exists():
        done = set(pd.read_csv(args.out)[["dataset", "seed", "precision"]].itertuples(index=False))
    with open(args.out, "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not done:
            writer.writerow(COLUMNS)
        for case in cases(args.cifar10, args.fraction, args.epochs):
            for seed in range(args.seeds):
                for precision in ("float32", "bfloat16"):
                    if (case.dataset, seed, precision) in done:
                        continue
                    found, seconds = accuracy(case, seed, precision, device)
                    cell = (case.dataset, case.model, seed, precision)
                    where = (device_name(device), versions()["torch"])
                    writer.writerow((*cell, round(found, 4), round(seconds, 3), *where))
                    file.flush()
    report(args.out)


if __name__ == "__main__":
    main()
