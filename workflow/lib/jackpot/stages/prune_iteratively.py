"""Iterative magnitude pruning: train, prune, restart at the initial weights, and again.

Frankle & Carbin 2019, "The Lottery Ticket Hypothesis", section 1: n rounds, each of which keeps
the same fraction of what the round before left, here density**(1/n). The first round's training
is the dense network's pretraining, which every other ticket of the seed shares.
"""

from pathlib import Path

import torch

from jackpot.data.files import load_data
from jackpot.errors import JackpotError
from jackpot.files.atomic import seal_of
from jackpot.files.tensors import Mask, load_mask, save_mask, sha256_of_tensors
from jackpot.models import load_weights, model_with_state
from jackpot.settings import Pruner, PruningBatch, Training
from jackpot.stages.prune import cut, no_masks, write_masks
from jackpot.training.device import versions
from jackpot.training.engine import train
from jackpot.training.results import load_splits, placed
from jackpot.training.resume import ResumeFile


def prune_iteratively(
    out: str | Path,
    *,
    clean: str | Path,
    data: str | Path,
    initial: str | Path,
    weights: str | Path,
    pruner: Pruner,
    batch: PruningBatch,
    training: Training,
    sparsity: float,
    seed: int,
    device: torch.device,
    resume: ResumeFile | None = None,
    fingerprint: str = "",
) -> None:
    """Write ``sparsity<s>.safetensors`` into the folder ``out`` after ``pruner.iterations`` cuts.

    Args:
        clean: the clean dataset, for testing.
        data: what is trained on and pruned with: clean or corrupted.
        initial: the weights that every round restarts from.
        weights: the trained weights that the first round cuts.
        training: settings of the trainings between the cuts: those of the pretraining.
        resume: saves the training that is under way; beside it ``<name>.mask`` keeps the last
            cut. Both are gone at the end.
    """
    start, metadata = load_weights(initial)
    trained, trained_metadata = load_weights(weights)
    about = {"seed": seed, "fingerprint": fingerprint}
    if trained_metadata.get("diverged"):
        no_masks(out, model_with_state(metadata["model"], start), [sparsity], about)
        return
    inputs = {"initial": sha256_of_tensors(start), "weights": sha256_of_tensors(trained)}
    train_data, test_data = load_splits(clean, data, device)
    seen = load_data(data)
    rounds = pruner.iterations
    values = {
        "pruner": pruner.model_dump(),
        "training": training.model_dump(mode="json"),
        "inputs": inputs,
        "cell": [sparsity, seed, fingerprint, torch.get_num_threads()],
        "versions": versions(),
    }
    kept = _Cuts(resume, seal_of(values))
    done, mask = kept.load()
    for number in range(done + 1, rounds + 1):
        state = trained if mask is None else start
        # A copy: training writes into a model's tensors, and the next round starts here again.
        copies = {name: tensor.clone() for name, tensor in state.items()}
        model = placed(model_with_state(metadata["model"], copies), training, device)
        if mask is not None:
            if resume:
                resume.fingerprint = seal_of({**values, "round": number})
            # Every round sees the batches of the pretraining: (seed, epoch) alone decides them.
            outcome = train(
                model,
                train_data,
                test_data,
                training,
                seed=seed,
                epochs=training.epochs,
                mask=mask,
                resume=resume,
            )
            if outcome.diverged:
                no_masks(out, model, [sparsity], about)
                kept.remove()
                return
            accuracy = outcome.history[-1]["test_accuracy"]
            print(f"round {number} of {rounds}: {accuracy:.2f} % before its cut", flush=True)
        progress = number / rounds
        more = {"progress": progress, "alive": mask}
        cuts = cut(model.eval(), seen, pruner, batch, [sparsity], seed, **more)
        mask = {name: keep.cpu() for name, keep in cuts[sparsity].items()}
        kept.save(number, mask)
    write_masks(out, {sparsity: mask}, pruner, about)
    kept.remove()


class _Cuts:
    """The last cut of an interrupted pruning, beside the resume file of its training."""

    def __init__(self, resume: ResumeFile | None, fingerprint: str):
        self.resume, self.fingerprint = resume, fingerprint
        self.path = resume.path.with_suffix(".mask") if resume else None

    def load(self) -> tuple[int, Mask | None]:
        """Number of cuts made and the last mask; ``(0, None)`` if none is usable."""
        if not self.path or not self.path.exists():
            return 0, None
        try:
            mask, metadata = load_mask(self.path)
        except JackpotError:
            return 0, None
        if metadata.get("fingerprint") != self.fingerprint:
            return 0, None
        return metadata["round"], mask

    def save(self, number: int, mask: Mask) -> None:
        if self.path:
            save_mask(self.path, mask, {"fingerprint": self.fingerprint, "round": number})
            # The training that led here is no use any more.
            self.resume.remove()

    def remove(self) -> None:
        if self.path:
            self.path.unlink(missing_ok=True)
            self.resume.remove()
