"""Where the engine's time goes, by operation, and how fast this machine's convolutions are.

    python benchmarks/operations.py --precision bfloat16

For docs/performance.md, "Where the rest goes".
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from loops import BATCH, MODELS, best_precision, engine, matrix_rate, seconds
from torch.profiler import ProfilerActivity, profile

from jackpot.training.device import prepare_device

# Channels and side of the papers' 3x3 layers.
LAYERS = [(32, 32), (64, 32), (128, 16), (256, 8), (512, 4)]
STEPS = 4


def shares(name: str, precision: str, device: torch.device) -> None:
    """Print each operation's share of the engine's own time, those above one percent."""
    work = engine(name, precision, device, STEPS)
    work()
    print(f"{name}, {precision}: {BATCH * STEPS / seconds(work, device):.0f} images/s")
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        work()
    events = profiled.key_averages()
    total = sum(event.self_cpu_time_total for event in events)
    for event in sorted(events, key=lambda event: -event.self_cpu_time_total):
        if (share := event.self_cpu_time_total / total) > 0.01:
            print(f"  {share:5.1%}  {event.key}")


def convolutions(dtype: torch.dtype, device: torch.device) -> None:
    """Print billions of operations a second: forward, and the two halves of the backward pass."""
    print(f"a plain product: {matrix_rate(device, dtype) / 1e9:.0f} billion operations/s")
    for channels, side in LAYERS:
        x, grad = (_channels_last(BATCH, channels, side, dtype, device) for _ in range(2))
        weight = _channels_last(channels, channels, 3, dtype, device)
        operations = 2 * BATCH * channels**2 * 9 * side**2

        def backward(*wanted: bool, x=x, grad=grad, weight=weight) -> None:
            torch.ops.aten.convolution_backward(
                grad, x, weight, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
            )

        parts: dict[str, Callable[[], object]] = {
            "forward": lambda x=x, weight=weight: torch.conv2d(x, weight, padding=1),
            "input": lambda backward=backward: backward(True, False, False),
            "weight": lambda backward=backward: backward(False, True, False),
        }
        rates = {}
        for part, work in parts.items():
            times = [seconds(work, device) for _ in range(9)][2:]
            rates[part] = operations / statistics.median(times) / 1e9
        print(f"  {channels:3} x {side} x {side}", {part: round(r) for part, r in rates.items()})


def _channels_last(n: int, c: int, side: int, dtype: torch.dtype, device: torch.device):
    values = torch.randn(n, c, side, side, device=device).to(dtype)
    return values.to(memory_format=torch.channels_last)


def main() -> None:
    """Print both for this machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], help="default: the best")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    device = prepare_device("cpu", args.threads)
    precision = args.precision or best_precision(device)
    for name in MODELS:
        shares(name, precision, device)
    convolutions(getattr(torch, precision), device)


if __name__ == "__main__":
    main()
