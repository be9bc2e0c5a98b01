"""How fast the engine is, beside the conventional loop and the machine's own limit.

    make bench            (or: python benchmarks/bench.py --out results/benchmarks.csv)

Every comparison is paired: the variants run in turn, A B A B, and medians over the rounds are
quoted, so a machine whose speed drifts favours none. Images are random; speed does not depend on
what they show. The limit is what the machine's own matrix-product rate would allow for the
network's operations, were everything else free.
"""

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import yaml
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from jackpot.data.torchvision_compat import import_torchvision
from jackpot.models import build_model
from jackpot.pruning.scores import SCORES
from jackpot.settings import Training
from jackpot.training.batches import DeviceImages, training_batches
from jackpot.training.device import prepare_device
from jackpot.training.sgd import SGD

MODELS = {"resnet32": {"width": 32}, "vgg19": {}}
BATCH = 128
COLUMNS = ("name", "model", "value", "unit", "times_conventional", "of_limit")
ROOT = Path(__file__).parent.parent


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of ``work``, with the device waited for."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def matrix_rate(device: torch.device, dtype: torch.dtype, size: int = 2048) -> float:
    """Floating-point operations a second of a square matrix product on random values."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    a @ b
    return 2 * size**3 / statistics.median(seconds(lambda: a @ b, device) for _ in range(9))


def operations(model: torch.nn.Module, device: torch.device) -> float:
    """Floating-point operations of one image in training: forward and backward."""
    images = torch.randn(2, 3, 32, 32, device=device)
    with FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(images), torch.zeros(2, dtype=torch.long, device=device)).backward()
    return counter.get_total_flops() / 2


def engine(name: str, precision: str, device: torch.device, steps: int) -> Callable[[], object]:
    """Steps of our engine, data pipeline included."""
    settings = Training(batch_size=BATCH, precision=precision)
    model = build_model(name, **MODELS[name]).to(device, memory_format=torch.channels_last).train()
    optimizer = SGD(dict(model.named_parameters()), momentum=0.9, weight_decay=5e-4)
    count = BATCH * steps
    data = DeviceImages(
        torch.randint(0, 256, (count, 32, 32, 3), dtype=torch.uint8, device=device),
        torch.randint(0, 10, (count,), device=device),
        torch.full((3,), 0.47, device=device),
        torch.full((3,), 0.25, device=device),
    )

    def work() -> None:
        for images, labels in training_batches(data, settings, 0, 0):
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                logits = model(images).float()
            F.cross_entropy(logits, labels).backward()
            optimizer.step(0.1)

    return work


def conventional(name: str, device: torch.device, steps: int) -> Callable[[], object]:
    """What GraSP's and mlrc2020's scripts do: workers, PIL transforms, fp32, item() each step."""
    import_torchvision()
    from PIL import Image
    from torchvision import transforms

    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize((0.47,) * 3, (0.25,) * 3),
        ]
    )
    pixels = torch.randint(0, 256, (BATCH * steps, 32, 32, 3), dtype=torch.uint8).numpy()

    class Images(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(pixels)

        def __getitem__(self, index: int):
            return transform(Image.fromarray(pixels[index])), index % 10

    model = build_model(name, **MODELS[name]).to(device).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    loader = torch.utils.data.DataLoader(Images(), BATCH, shuffle=True, num_workers=4)

    def work() -> float:
        total = 0.0
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total

    return work


def training_rows(device: torch.device, rounds: int, steps: int) -> Iterator[tuple]:
    """Images a second of both loops, paired, and the limit."""
    for name, options in MODELS.items():
        loops = {
            "conventional loop, float32": conventional(name, device, steps),
            "engine, float32": engine(name, "float32", device, steps),
            "engine, bfloat16": engine(name, "bfloat16", device, steps),
        }
        rates: dict[str, list[float]] = {loop: [] for loop in loops}
        limits: list[float] = []
        needed = operations(build_model(name, **options).to(device), device)
        for number in range(rounds + 1):
            limit = matrix_rate(device, torch.bfloat16) / needed
            for loop, work in loops.items():
                rate = BATCH * steps / seconds(work, device)
                if number:  # the first round warms up
                    rates[loop].append(rate)
            if number:
                limits.append(limit)
        base = rates["conventional loop, float32"]
        for loop, found in rates.items():
            times = statistics.median(a / b for a, b in zip(found, base, strict=True))
            share = statistics.median(a / b for a, b in zip(found, limits, strict=True))
            yield loop, name, statistics.median(found), "images/s", f"{times:.2f}", f"{share:.2f}"
        yield "bfloat16 limit", name, statistics.median(limits), "images/s", "", "1.00"


def score_rows(device: torch.device) -> Iterator[tuple]:
    """Seconds of one call of each score: 100 images, or one round."""
    images = torch.randn(100, 3, 32, 32, device=device)
    labels = torch.arange(100, device=device) % 10
    for name, options in MODELS.items():
        model = build_model(name, **options).to(device)
        for score in ("snip", "grasp", "synflow", "magnitude"):
            found = [
                seconds(lambda s=score, m=model: SCORES[s](m, (images, labels), None), device)
                for _ in range(3)
            ]
            yield f"score {score}", name, statistics.median(found), "s", "", ""


def start_rows() -> Iterator[tuple]:
    """Seconds before a job works, and of laying out studies of growing size."""
    command = [sys.executable, "-c", "import jackpot.cli, jackpot.training.retrain"]
    cpu = torch.device("cpu")
    found = [seconds(lambda: subprocess.run(command, check=True), cpu) for _ in range(5)]
    yield "start of a job without a warm process", "", statistics.median(found), "s", "", ""
    for cells in (1000, 4000):
        study = {
            "name": "cells",
            "datasets": {"digits": {"kind": "digits"}},
            "models": {"vgg5": {}},
            "experiments": [
                {"tickets": ["snip"], "sparsities": [0.9, 0.95], "seeds": list(range(cells // 2))}
            ],
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.yaml"
            path.write_text(yaml.safe_dump(study))
            config = [f"study={path}", f"results_dir={folder}"]
            dry = [sys.executable, "-m", "snakemake", "-n", "-q", "--cores", "1", "--config"]
            took = seconds(
                lambda dry=dry, config=config: subprocess.run(
                    [*dry, *config], cwd=ROOT, check=True, capture_output=True
                ),
                cpu,
            )
        yield f"dry run of {cells:,} cells", "", took, "s", "", ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="results/benchmarks.csv")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    args = parser.parse_args()
    device = prepare_device("auto", torch.get_num_threads())
    rows = []
    for row in (
        *training_rows(device, args.rounds, args.steps),
        *score_rows(device),
        *start_rows(),
    ):
        name, model, value, unit, times, share = row
        print(f"{name:40} {model:10} {value:10.4g} {unit:9} {times:>6} {share:>6}", flush=True)
        rows.append((name, model, f"{value:.4g}", unit, times, share))
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    with open(args.out, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])


if __name__ == "__main__":
    main()
