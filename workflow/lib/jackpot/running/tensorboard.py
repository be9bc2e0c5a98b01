"""TensorBoard event files, made from a finished training's history.csv.

The tags are those of GraSP's released code (``main_prune_non_imagenet.py``), ``iter_0`` being its
first and only pruning iteration; its loss and accuracy are an epoch's means as ours are. Written
after training, so they cannot change it.
"""

import csv
import shutil
from pathlib import Path

from jackpot.errors import JackpotError

TAGS = {
    "iter_0/train/lr": "lr",
    "iter_0/train/loss": "train_loss",
    "iter_0/train/acc": "train_accuracy",
    "iter_0/test/loss": "test_loss",
    "iter_0/test/acc": "test_accuracy",
}


def write_events(out: str | Path) -> None:
    """Write ``<out>/tensorboard/`` anew from ``<out>/history.csv``; steps count epochs from 0.

    Raises:
        JackpotError: the ``tensorboard`` package is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise JackpotError(
            "logging.tensorboard needs the package tensorboard: pip install tensorboard, "
            "or set logging: {tensorboard: false} in the study"
        ) from None
    folder = Path(out) / "tensorboard"
    # A second run of a cell would otherwise draw its curve over the first one's.
    shutil.rmtree(folder, ignore_errors=True)
    with open(Path(out) / "history.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with SummaryWriter(folder) as writer:
        for row in rows:
            for tag, column in TAGS.items():
                if row[column]:
                    writer.add_scalar(tag, float(row[column]), int(row["epoch"]) - 1)
