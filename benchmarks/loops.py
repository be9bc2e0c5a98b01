"""Our training loop, the conventional one, and what the machine would allow."""

import contextlib
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision_compat import import_torchvision

from jackpot.data.files import clean_data, save_data
from jackpot.errors import JackpotError
from jackpot.machine import PORTABLE, multiplies_bfloat16
from jackpot.models import build_model
from jackpot.running.device import chosen_device
from jackpot.settings import Training
from jackpot.training.batches import DeviceImages
from jackpot.training.engine import TrainingLoop
from jackpot.training.results import load_splits

MODELS = {"resnet32": {"width": 32}, "vgg19": {}}
BATCH = 128
RUN_IMAGES = 160 * 50_000  # a run of the papers on CIFAR-10
Row = tuple[str, str, float, str, str, str]


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Wall time of ``work``, with the device waited for."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations a second of square matrix products on random values."""
    # A GPU is through with a small product before it has been waited for.
    size, count = (8192, 10) if device.type == "cuda" else (2048, 1)
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))

    def products() -> None:
        for _ in range(count):
            a @ b

    products()
    taken = statistics.median(seconds(products, device) for _ in range(9))
    return 2 * size**3 * count / taken


def operations(name: str) -> float:
    """Floating-point operations of one image in training: forward and backward.

    Those of direct convolutions, which PyTorch and everybody counts; ours do fewer on 2x2 images.
    """
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        logits = build_model(name, **MODELS[name])(torch.randn(2, 3, 32, 32))
        F.cross_entropy(logits, torch.zeros(2, dtype=torch.long)).backward()
    return counter.get_total_flops() / 2


def engine(
    name: str,
    precision: str,
    device: torch.device,
    steps: int,
    *,
    options: dict | None = None,
    side: int = 32,
    batch: int | None = None,
) -> Callable[[], object]:
    """Steps of our engine, data pipeline and mask included."""
    batch = batch or BATCH
    settings = Training(batch_size=batch, precision=precision)
    model = build_model(name, **(MODELS[name] if options is None else options))
    model = model.to(device, memory_format=torch.channels_last)
    mask = {
        key: torch.rand(weight.shape, device=device) < 0.1
        for key, weight in model.named_parameters()
        if weight.dim() > 1
    }
    count = batch * steps
    data = DeviceImages(
        torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, device=device),
        torch.randint(0, 10, (count,), device=device),
        torch.full((3,), 0.47, device=device),
        torch.full((3,), 0.25, device=device),
    )
    run = TrainingLoop(model, settings, mask, None)

    def work() -> None:
        run.step = 0
        run.train_epoch(data, 0, 0, None)

    return work


def conventional(name: str, device: torch.device, steps: int) -> Callable[[], object]:
    """What GraSP's and mlrc2020's scripts do: workers, PIL transforms, fp32, item() each step."""
    import_torchvision()
    from PIL import Image
    from torchvision import transforms

    # "This DataLoader will create 4 worker processes": their scripts do.
    warnings.filterwarnings("ignore", message="This DataLoader will create")
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
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.__class__ = torch.nn.Conv2d  # theirs have no other form
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    loader = torch.utils.data.DataLoader(
        Images(),
        BATCH,
        shuffle=True,
        num_workers=4,
        persistent_workers=True,
        multiprocessing_context="fork",
    )

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


CONVENTIONAL, LIMIT = "conventional loop, float32", "limit"
# A process that has waited for its turn takes a step or two to get going; these are not timed.
WARMING = 2


def best_precision(device: torch.device) -> str:
    """The fastest format whose products are instructions of the device."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = multiplies_bfloat16()
    return "bfloat16" if native else "float32"


def loops_on(device: torch.device) -> tuple[str, ...]:
    """What is compared on a device: loops, and the limit in its best format."""
    best = best_precision(device)
    engines = ["engine, float32", f"engine, {best}"]
    return (CONVENTIONAL, *dict.fromkeys(engines), f"{best} {LIMIT}")


def _rate_of(loop: str, name: str, threads: int, steps: int) -> Callable[[], float]:
    """What measures the images a second of one of ``loops_on``, in this process."""
    if loop == CONVENTIONAL:
        torch.set_num_threads(threads)  # and nothing else: a plain script
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        work, warm = (conventional(name, device, count) for count in (steps, WARMING))
    else:
        device = chosen_device("auto", threads)
        if loop.endswith(LIMIT):
            needed, dtype = operations(name), getattr(torch, loop.split()[0])
            return lambda: matrix_rate(device, dtype) / needed
        precision = loop.removeprefix("engine, ")
        work, warm = (engine(name, precision, device, count) for count in (steps, WARMING))

    def rate() -> float:
        warm()
        return BATCH * steps / seconds(work, device)

    return rate


def _answer(pipe, rate_of: Callable[..., Callable[[], float]], *arguments) -> None:
    """Measure once for every message."""
    rate = rate_of(*arguments)
    pipe.send("ready")
    while pipe.recv():
        pipe.send(rate())


def in_turn(
    rate_of: Callable[..., Callable[[], float]],
    arguments: dict[str, tuple],
    rounds: int,
    environments: dict[str, dict[str, str]] | None = None,
) -> Iterator[dict[str, float]]:
    """What each variant measures, round by round.

    Each is a process of its own, as it would be in use: what one sets up in PyTorch and the C
    library is not the others'. They take turns; those that wait, wait for a message.

    Args:
        rate_of: makes what measures, from the variant's arguments.
        arguments: by variant.
        environments: variables that are set before a variant's process imports torch.
    """
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for variant, values in arguments.items():
        pipes[variant], theirs = context.Pipe()
        process = context.Process(target=_answer, args=(theirs, rate_of, *values))
        with _variables((environments or {}).get(variant, {})):
            process.start()
        processes.append(process)
        theirs.close()  # so that a process that dies is noticed
        pipes[variant].recv()
    for _ in range(rounds):
        found = {}
        for variant, pipe in pipes.items():
            pipe.send(True)
            found[variant] = pipe.recv()
        yield found
    for pipe, process in zip(pipes.values(), processes, strict=True):
        pipe.send(False)
        process.join()


@contextlib.contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def training_rows(device: torch.device, rounds: int, steps: int) -> Iterator[Row]:
    """Images a second of the loops and of the limit, paired.

    The limit's own row says how many times the conventional loop it is, and so any loop could be.
    """
    for name in MODELS:
        arguments = {
            loop: (loop, name, torch.get_num_threads(), steps) for loop in loops_on(device)
        }
        rates: dict[str, list[float]] = {loop: [] for loop in arguments}
        for number, found in enumerate(in_turn(_rate_of, arguments, rounds), 1):
            shown = ", ".join(f"{loop} {rate:.1f}" for loop, rate in found.items())
            print(f"  {name}, round {number} of {rounds}, images/s: {shown}", flush=True)
            for loop, rate in found.items():
                rates[loop].append(rate)
        limit = next(loop for loop in rates if loop.endswith(LIMIT))
        for loop, found in rates.items():
            times, share = (
                statistics.median(a / b for a, b in zip(found, rates[other], strict=True))
                for other in (CONVENTIONAL, limit)
            )
            yield loop, name, statistics.median(found), "images/s", f"{times:.2f}", f"{share:.2f}"


# The default study's networks, and the papers' smaller one: name, options, side, batch size, and
# batches a round, a second or two of one thread's time.
PORTABLE_CASES = {
    "vgg5, 8x8": ("vgg5", {"width": 16}, 8, 64, 120),
    "resnet8, 8x8": ("resnet8", {"width": 8}, 8, 64, 120),
    "resnet32": ("resnet32", MODELS["resnet32"], 32, BATCH, 2),
}


def _one_thread(case: str, steps: int) -> Callable[[], float]:
    device = chosen_device("cpu", 1)
    name, options, side, batch, _ = PORTABLE_CASES[case]
    work, warm = (
        engine(name, "float32", device, count, options=options, side=side, batch=batch)
        for count in (steps, WARMING)
    )

    def rate() -> float:
        warm()
        return batch * steps / seconds(work, device)

    return rate


def portable_rows(rounds: int) -> Iterator[Row]:
    """Images a second with every instruction that the processor has, and with AVX2 alone."""
    for case, (*_, batches) in PORTABLE_CASES.items():
        arguments = {"native": (case, batches), "portable": (case, batches)}
        found = list(in_turn(_one_thread, arguments, 2 * rounds, {"portable": PORTABLE}))
        for variant in arguments:
            rate = statistics.median(round_[variant] for round_ in found)
            yield f"one thread, {variant} arithmetic", case, rate, "images/s", "", ""
        price = statistics.median(round_["native"] / round_["portable"] for round_ in found)
        yield "time in portable arithmetic, of native", case, price, "times", "", ""


def _in_process(function: Callable, *arguments):
    """The value of ``function`` in a process of its own, which has nothing else in memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _peak_megabytes(name: str, path: str) -> float:
    device = chosen_device("auto", torch.get_num_threads())
    train, test = load_splits(path, path, device)
    model = build_model(name, **MODELS[name]).to(device, memory_format=torch.channels_last)
    settings = Training(batch_size=BATCH, precision=best_precision(device))
    run = TrainingLoop(model, settings, None, None)
    few = DeviceImages(train.images[: 2 * BATCH], train.labels[: 2 * BATCH], train.mean, train.std)
    run.train_epoch(few, 0, 0, None)
    run.evaluate(DeviceImages(test.images[:1000], test.labels[:1000], train.mean, train.std))
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    # Not ru_maxrss, which begins at what the parent had.
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # noqa: SIM115
    return int(peak.split()[1]) / 2**10


def memory_rows(device: torch.device) -> Iterator[Row]:
    """Peak memory of a training with all of CIFAR-10 loaded, from its file, as a job does."""
    splits = (
        (
            torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8).numpy(),
            (torch.arange(count) % 10).numpy(),
        )
        for count in (50_000, 10_000)
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clean.safetensors"
        save_data(path, clean_data(*splits, tuple("0123456789")))
        for name in MODELS:
            peak = _in_process(_peak_megabytes, name, str(path))
            yield f"peak memory, {best_precision(device)}, batch 128", name, peak, "MiB", "", ""


def _rate(name: str, threads: int, steps: int, start, done) -> None:
    try:
        device = chosen_device("auto", threads)
        precision = best_precision(device)
        work = engine(name, precision, device, steps)
        engine(name, precision, device, WARMING)()
        start.wait()
        done.put(seconds(work, device))
    except (RuntimeError, JackpotError) as error:
        # A full GPU says so in many ways, and CUDA's libraries have some of their own. Nobody waits
        # for one that did not fit.
        if not isinstance(error, threading.BrokenBarrierError):
            print(f"{name}: {error}", file=sys.stderr)
        start.abort()
        done.put(math.inf)


def sharing_rows(device: torch.device, steps: int) -> Iterator[Row]:
    """Runs an hour with several trainings at once on the device (CUDA) or on the cores.

    0 where they do not fit into the device's memory together.
    """
    cores = torch.get_num_threads()
    together = (1, 2, 4, 8) if device.type == "cuda" else sorted({1, cores})
    context = multiprocessing.get_context("spawn")
    for name in MODELS:
        for jobs in together:
            start, done = context.Barrier(jobs), context.Queue()
            arguments = (name, max(1, cores // jobs), steps, start, done)
            processes = [context.Process(target=_rate, args=arguments) for _ in range(jobs)]
            for process in processes:
                process.start()
            slowest = max(done.get() for _ in processes)
            for process in processes:
                process.join()
            runs = 3600 * jobs * BATCH * steps / slowest / RUN_IMAGES
            yield f"160 epochs of training, {jobs} at once", name, runs, "runs/hour", "", ""
