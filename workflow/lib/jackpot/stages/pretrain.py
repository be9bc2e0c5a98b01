"""The stage before pruning: train dense networks from their initial weights."""

from pathlib import Path

import torch

from jackpot.errors import JackpotError
from jackpot.files.tensors import save_tensors
from jackpot.fingerprints import code_of
from jackpot.models import load_weights, model_with_state, prunable
from jackpot.settings import Training
from jackpot.training.engine import cpu_state, train
from jackpot.training.results import (
    Record,
    RunName,
    digests,
    layers_of,
    load_splits,
    placed,
    write_results,
)
from jackpot.training.resume import ResumeFile

# Taken at import, so that it is of the code that runs even if a file is edited meanwhile.
CODE = code_of(__name__)


def pretrain(
    out: str | Path,
    *,
    run: RunName,
    clean: str | Path,
    data: str | Path,
    initial: str | Path,
    settings: Training,
    snapshots: tuple[int, ...],
    device: torch.device,
    resume: ResumeFile | None = None,
    fingerprint: str = "",
) -> str:
    """Train a dense network from its initial weights, on clean or corrupted data.

    Args:
        out: folder for ``trained.safetensors``, ``epoch<k>.safetensors`` for every k of
            ``snapshots``, ``metrics.json`` and ``history.csv``.
        clean: the clean dataset; its test split and normalisation are used.
        data: the dataset to train on; may be the same file.

    Returns:
        A line that says what came out.

    Raises:
        JackpotError: a snapshot is of an epoch that is not trained.
    """
    if late := [epoch for epoch in snapshots if not 0 <= epoch <= settings.epochs]:
        raise JackpotError(f"snapshots {late}: the training has epochs 0 to {settings.epochs}")
    state, metadata = load_weights(initial)
    inputs = digests(clean=clean, data=data, weights=initial)
    record = Record(run, settings, device, inputs, fingerprint, CODE, resume)
    model = placed(model_with_state(metadata["model"], state), settings, device)
    train_data, test_data = load_splits(clean, data, device)
    record.bind_resume_file(snapshots=snapshots)
    outcome = train(
        model,
        train_data,
        test_data,
        settings,
        seed=run.seed,
        epochs=settings.epochs,
        snapshots=snapshots,
        resume=resume,
    )
    out, final, trained = Path(out), cpu_state(model), len(outcome.history)
    header = {"model": metadata["model"], "fingerprint": fingerprint}
    for epoch in snapshots:
        # A diverged training may end before a snapshot; its tickets start from where it ended.
        lost = outcome.diverged and epoch >= trained
        weights = final if lost else outcome.snapshots[epoch]
        about = {**header, "epoch": epoch, "diverged": lost}
        save_tensors(out / f"epoch{epoch}.safetensors", weights, about)
    about = {**header, "epoch": trained, "diverged": outcome.diverged}
    save_tensors(out / "trained.safetensors", final, about)
    whole = {name: torch.ones_like(w, dtype=torch.bool) for name, w in prunable(model).items()}
    return write_results(out, record, outcome, layers_of(model, whole, train_data), final)
