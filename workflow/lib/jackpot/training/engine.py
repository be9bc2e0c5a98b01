"""The training loop: one function that trains, evaluates every epoch, saves and goes on.

The same call gives the same bits whether it ran through or was killed and resumed, because order
and augmentation depend on (seed, epoch) alone and everything else is in the resume file.
"""

import copy
import math
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from tqdm import tqdm

from jackpot.errors import JackpotError
from jackpot.files.tensors import Mask, Tensors
from jackpot.models import is_users
from jackpot.randomness import generator, seeded
from jackpot.settings import Training
from jackpot.training.batches import DeviceImages, training_batches
from jackpot.training.resume import ResumeFile
from jackpot.training.schedule import learning_rate
from jackpot.training.sgd import SGD

EVALUATION_BATCH = 1000
# Exit status of a training that was told to stop and has saved itself: EX_TEMPFAIL.
SAVED_AND_STOPPED = 75


@dataclass
class Outcome:
    """What a training made.

    Attributes:
        history: one row an epoch, with the columns of history.csv.
        snapshots: whole states by epoch, on the CPU, as asked for.
        diverged: a loss was NaN or infinite; the history ends at that epoch.
        resumes: how often the training went on from a resume file.
        seconds: of training and evaluation, over all its parts.
        images: training images seen in that time.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    snapshots: dict[int, Tensors] = field(default_factory=dict)
    diverged: bool = False
    resumes: int = 0
    seconds: float = 0.0
    images: int = 0


def train(
    model: nn.Module,
    data: DeviceImages,
    test: DeviceImages,
    settings: Training,
    *,
    seed: int,
    epochs: int,
    first_epoch: int = 0,
    mask: Mask | None = None,
    snapshots: tuple[int, ...] = (),
    resume: ResumeFile | None = None,
) -> Outcome:
    """Train ``model`` in place with SGD.

    Args:
        model: on the data's device.
        seed: with the epoch, decides order and augmentation.
        epochs: how many to train.
        first_epoch: where the schedule starts: 0, or the epoch that was rewound to.
        mask: by parameter name, True = kept; pruned weights are exactly zero after every step.
        snapshots: epochs (number of epochs trained) whose state is wanted.
        resume: where to save, and to go on from.

    Raises:
        JackpotError: the network cannot be trained on a batch of one image, and there is one.
    """
    _refuse_a_batch_of_one(model, data, settings)
    run = TrainingLoop(model, settings, mask, resume, first_epoch)
    run.start(snapshots)
    shown = {"total": epochs, "initial": run.epoch, "desc": "epochs", "unit": "epoch"}
    # The signals come first: whoever sees the bar may ask it to stop.
    with (
        _StopSignals(resume is not None) as stop,
        tqdm(**shown, mininterval=1, file=sys.stderr) as bar,
    ):
        while run.epoch < epochs and not run.outcome.diverged:
            epoch = first_epoch + run.epoch
            run.train_epoch(data, seed, epoch, stop)
            row = run.end_epoch(epoch, len(data), test)
            bar.update()
            bar.set_postfix(loss=row["train_loss"], test=row["test_accuracy"])
            if run.epoch in snapshots:
                run.outcome.snapshots[run.epoch] = cpu_state(model)
            goes_on = run.epoch < epochs and not run.outcome.diverged
            if resume and goes_on and (stop.asked or resume.due(run.epoch, True)):
                run.save()
            if stop.asked and goes_on:
                raise SystemExit(SAVED_AND_STOPPED)
    return run.outcome


def _refuse_a_batch_of_one(model: nn.Module, data: DeviceImages, settings: Training) -> None:
    """One image has no variance: BatchNorm of a 1x1 map would fail at the epoch's last batch."""
    size = settings.batch_size
    if size > 1 and len(data) % size != 1:
        return
    image = data.normalise(data.images[:1], settings.channels_last)
    try:
        with torch.no_grad(), seeded(0):
            copy.deepcopy(model).train()(image)
    except ValueError as error:
        raise JackpotError(
            f"{len(data)} training images in batches of {size} leave a batch of one image, which "
            f"the network does not take ({error}). Choose another batch_size."
        ) from error


class TrainingLoop:
    """The state of one training, all of which goes into its resume file.

    ``train`` is the way in; benchmarks time single epochs, evaluations and saves.
    """

    def __init__(self, model, settings, mask, resume, first_epoch=0):
        self.model, self.settings, self.resume = model, settings, resume
        self.first_epoch = first_epoch
        self.parameters = dict(model.named_parameters())
        self.device = next(iter(self.parameters.values())).device
        self.optimizer = SGD(
            self.parameters,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.nesterov,
            mask=mask,
        )
        self.epoch, self.step = 0, 0
        self.outcome = Outcome()
        self.loss = torch.zeros((), dtype=torch.float64, device=self.device)
        self.correct = torch.zeros((), dtype=torch.int64, device=self.device)
        # Seconds that an interrupted epoch took before, and when its present part began.
        self.part_seconds, self.part_started = 0.0, time.monotonic()

    def start(self, snapshots) -> None:
        """Begin, or go on from the resume file."""
        saved = self.resume.load() if self.resume else None
        if saved:
            self._restore(*saved)
            return
        if 0 in snapshots:
            self.outcome.snapshots[0] = cpu_state(self.model)

    def train_epoch(self, data: DeviceImages, seed: int, epoch: int, stop: "_StopSignals") -> None:
        """One epoch, from ``self.step`` on; nothing here waits for the device."""
        self.part_started = time.monotonic()
        lr = learning_rate(self.settings, epoch, self.first_epoch)
        self.model.train()
        own = is_users(self.model)
        for images, labels in training_batches(data, self.settings, seed, epoch, self.step):
            if own:
                # Dropout and its like draw from the global generator; a resumed step draws alike.
                torch.manual_seed(generator(seed, "layers", epoch, self.step).initial_seed())
            logits = self._forward(images)
            loss = F.cross_entropy(logits, labels)
            loss.backward()
            self.optimizer.step(lr)
            with torch.no_grad():
                self.loss += loss.double() * len(labels)
                self.correct += (logits.argmax(1) == labels).sum()
            self.step += 1
            if self.resume and (stop.asked or self.resume.due(self.epoch, False)):
                # In the last step of an epoch, its end saves.
                if self.step * self.settings.batch_size >= len(data):
                    continue
                self.save()
                if stop.asked:
                    raise SystemExit(SAVED_AND_STOPPED)

    def _forward(self, images: torch.Tensor) -> torch.Tensor:
        bfloat16 = self.settings.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            return self.model(images).float()

    def end_epoch(self, epoch: int, images: int, test: DeviceImages) -> dict:
        """Evaluate, and add a row to the history."""
        train_loss = self.loss.item() / images
        test_loss, test_accuracy = self.evaluate(test)
        # Not only the loss: a test set can overflow where the training batches did not.
        self.outcome.diverged = not (math.isfinite(train_loss) and math.isfinite(test_loss))
        seconds = self._epoch_seconds()
        row = {
            "epoch": epoch + 1,
            "lr": learning_rate(self.settings, epoch, self.first_epoch),
            "train_loss": _number(train_loss),
            "train_accuracy": 100 * self.correct.item() / images,
            "test_loss": _number(test_loss),
            "test_accuracy": test_accuracy,
            "seconds": round(seconds, 3),
        }
        self.outcome.history.append(row)
        self.outcome.seconds += seconds
        self.outcome.images += images
        self.epoch, self.step = self.epoch + 1, 0
        self.part_seconds, self.part_started = 0.0, time.monotonic()
        self.loss.zero_()
        self.correct.zero_()
        return row

    @torch.no_grad()
    def evaluate(self, test: DeviceImages) -> tuple[float, float]:
        """Mean cross-entropy and accuracy in percent over a split, in eval mode."""
        self.model.eval()
        loss = torch.zeros((), dtype=torch.float64, device=self.device)
        correct = torch.zeros((), dtype=torch.int64, device=self.device)
        for start in range(0, len(test), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            images = test.normalise(test.images[part], self.settings.channels_last)
            logits = self._forward(images)
            loss += F.cross_entropy(logits, test.labels[part], reduction="sum").double()
            correct += (logits.argmax(1) == test.labels[part]).sum()
        return loss.item() / len(test), 100 * correct.item() / len(test)

    def _epoch_seconds(self) -> float:
        return self.part_seconds + time.monotonic() - self.part_started

    def save(self) -> None:
        """Write everything that the rest of the training depends on."""
        tensors = {f"model/{name}": t for name, t in self.model.state_dict().items()}
        tensors |= {f"momentum/{name}": t for name, t in self.optimizer.momenta.items()}
        for epoch, snapshot in self.outcome.snapshots.items():
            tensors |= {f"snapshot/{epoch}/{name}": t for name, t in snapshot.items()}
        tensors |= {"loss": self.loss, "correct": self.correct}
        state = {
            "epoch": self.epoch,
            "step": self.step,
            "part_seconds": self._epoch_seconds(),
            "history": self.outcome.history,
            "resumes": self.outcome.resumes,
            "seconds": self.outcome.seconds,
            "images": self.outcome.images,
        }
        self.resume.save(tensors, state, self.epoch)

    def _restore(self, tensors: Tensors, state: dict[str, Any]) -> None:
        model = {}
        for key, tensor in tensors.items():
            kind, _, name = key.partition("/")
            if kind == "model":
                model[name] = tensor
            elif kind == "momentum":
                self.optimizer.momenta[name].copy_(tensor)
            elif kind == "snapshot":
                epoch, _, name = name.partition("/")
                self.outcome.snapshots.setdefault(int(epoch), {})[name] = tensor
        self.model.load_state_dict(model)
        self.loss.copy_(tensors["loss"])
        self.correct.copy_(tensors["correct"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.part_seconds = state["part_seconds"]
        self.outcome.history = state["history"]
        self.outcome.resumes = state["resumes"] + 1
        self.outcome.seconds, self.outcome.images = state["seconds"], state["images"]
        print(
            f"goes on at epoch {self.epoch}, step {self.step}, from {self.resume.path}",
            file=sys.stderr,
            flush=True,
        )


class _StopSignals:
    """Within this context SIGTERM and SIGINT ask the loop to save and stop at the next step.

    A training that has nowhere to save is not protected: the signals act as ever.
    """

    def __init__(self, active: bool):
        self.active = active
        self.asked = False
        self._before: dict[int, Callable | int | None] = {}

    def __enter__(self):
        if self.active and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, *_):
        self.asked = True

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)


def cpu_state(model: nn.Module) -> Tensors:
    """A copy of a model's whole state on the CPU."""
    return {name: t.detach().to("cpu", copy=True) for name, t in model.state_dict().items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
