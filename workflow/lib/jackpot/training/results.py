"""What every training reads and writes: weights, data splits, metrics.json and history.csv."""

import csv
import io
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from jackpot.data.files import load_data
from jackpot.environment import Environment
from jackpot.errors import JackpotError
from jackpot.files.atomic import seal_of, sha256_of_file, write_sealed, write_text
from jackpot.files.tensors import Mask, Tensors, sha256_of_tensors
from jackpot.models import is_users
from jackpot.models.trial import lay_out
from jackpot.pruning.connectivity import effective_counts
from jackpot.pruning.masks import layer_counts
from jackpot.settings import Training
from jackpot.training.batches import DeviceImages, to_device
from jackpot.training.device import device_name, versions
from jackpot.training.engine import Outcome
from jackpot.training.resume import ResumeFile

HISTORY = ("epoch", "lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds")


@dataclass(frozen=True)
class RunName:
    """Which run this is: the identifying columns of runs.csv."""

    study: str
    dataset: str
    model: str
    ticket: str
    check: str
    sparsity: float
    seed: int


def load_splits(
    clean: str | Path, data: str | Path, device: torch.device
) -> tuple[DeviceImages, DeviceImages]:
    """Training split of ``data`` and test split of ``clean``."""
    test = load_data(clean)
    if test.test_images is None:
        raise JackpotError(f"{clean}: has no test split. Give the clean version of the dataset.")
    train_data = test if str(data) == str(clean) else load_data(data)
    return to_device(train_data, "train", device), to_device(test, "test", device)


def placed(model: torch.nn.Module, settings: Training, device: torch.device):
    """The model on its device, in the memory layout that the settings ask for.

    A user's network that cannot take channels_last is contiguous, whatever they ask for.
    """
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    if settings.channels_last and is_users(model):
        layout = lay_out(model, model.image_shape)
    return model.to(device=device, memory_format=layout)


@dataclass
class Record:
    """One training as its result records it: which run, of what, by which code, on what.

    Attributes:
        inputs: SHA-256 of the files that are read, by name.
        fingerprint: of the run, as Snakemake knows it before it starts.
        code: fingerprint of the code that was imported.
        resume: where the training saves itself; not needed any more once the result is written.
    """

    run: RunName
    settings: Training
    device: torch.device
    inputs: dict[str, str]
    fingerprint: str
    code: str
    resume: ResumeFile | None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def bind_resume_file(self, **others: Any) -> None:
        """Bind the resume file to everything that decides the bits of this training.

        Args:
            others: what the stage decides beside the settings, as JSON values.
        """
        if self.resume:
            self.resume.fingerprint = seal_of(
                {
                    "run": vars(self.run),
                    "settings": self.settings.model_dump(mode="json"),
                    "inputs": self.inputs,
                    "fingerprint": self.fingerprint,
                    "versions": versions(),
                    "threads": torch.get_num_threads(),
                    "code": self.code,
                    **others,
                }
            )


def digests(**files: str | Path) -> dict[str, str]:
    """SHA-256 of files, by what they are."""
    return {name: sha256_of_file(path) for name, path in files.items()}


@dataclass(frozen=True)
class Layer:
    """What a mask leaves of a layer.

    Attributes:
        effective: weights on a path from input to output; None where nobody counted.
    """

    name: str
    total: int
    kept: int
    effective: int | None


def layers_of(model: torch.nn.Module, mask: Mask, images: DeviceImages | None) -> list[Layer]:
    """Every prunable layer under a mask, in its order.

    Args:
        images: what the model sees; None if it is not trained, and paths are not counted.
    """
    effective: list[int | None] = [None] * len(mask)
    if images is not None:
        _, height, width, channels = images.images.shape
        effective = effective_counts(model, mask, (channels, height, width))
    counts = zip(layer_counts(mask), effective, strict=True)
    return [Layer(*layer, number) for layer, number in counts]


def write_results(
    out: str | Path,
    record: Record,
    outcome: Outcome,
    layers: list[Layer],
    final: Tensors,
) -> str:
    """Write ``history.csv`` and then ``metrics.json``, which is what says that a run is done.

    Args:
        layers: every prunable layer; none if no mask was made.
        final: the last weights, whose hash is recorded.

    Returns:
        A line that says what came out.
    """
    run = record.run
    text = io.StringIO()
    writer = csv.DictWriter(text, HISTORY, lineterminator="\n")
    writer.writeheader()
    writer.writerows(outcome.history)
    write_text(Path(out) / "history.csv", text.getvalue())

    last = outcome.history[-1] if outcome.history else {}
    accuracies = [row["test_accuracy"] for row in outcome.history if row["test_loss"] is not None]
    total, effective = sum(layer.total for layer in layers), [layer.effective for layer in layers]
    libraries = versions()
    metrics = {
        **vars(run),
        # A diverged run has no accuracy: the number it shows is that of broken weights.
        "test_accuracy": None if outcome.diverged else last["test_accuracy"],
        "test_loss": None if outcome.diverged else last["test_loss"],
        "best_test_accuracy": max(accuracies, default=None),
        "density": sum(layer.kept for layer in layers) / total if layers else None,
        "collapsed": any(layer.kept == 0 for layer in layers),
        "diverged": outcome.diverged,
        "epochs": len(outcome.history),
        "seconds": round(outcome.seconds, 3),
        "images_per_second": round(outcome.images / max(outcome.seconds, 1e-9), 1),
        "device": device_name(record.device),
        "precision": record.settings.precision,
        "weights_sha256": sha256_of_tensors(final),
        "layers": [vars(layer) for layer in layers],
        "fingerprints": {
            "run": record.fingerprint,
            # Not part of what the run is: another cell of the study may change.
            "study": Environment.read().study,
            "code": record.code,
            "inputs": record.inputs,
            "environment": seal_of(libraries),
            "history": sha256_of_file(Path(out) / "history.csv"),
        },
        "settings": record.settings.model_dump(mode="json"),
        "resumes": outcome.resumes,
        "started": record.started.isoformat(timespec="seconds"),
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": libraries,
        # Weights that no path from input to output can use count as removed; None: not counted.
        "effective_density": None if None in effective or not layers else sum(effective) / total,
    }
    write_sealed(Path(out) / "metrics.json", metrics)
    accuracy = metrics["test_accuracy"]
    shown = "diverged" if accuracy is None else f"{accuracy:.2f} %"
    return (
        f"{run.ticket} {run.check} at sparsity {run.sparsity:g}, seed {run.seed}: {shown} "
        f"after {len(outcome.history)} epochs in {outcome.seconds:.1f} s"
    )
