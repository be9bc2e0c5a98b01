"""The stage after pruning: train a ticket, edited as its check says."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from jackpot.checks import Check, Ticket, find_check
from jackpot.errors import JackpotError
from jackpot.files.tensors import load_mask, save_tensors
from jackpot.fingerprints import code_of
from jackpot.models import load_weights, model_with_state, prunable
from jackpot.models.initial import initial_weights
from jackpot.pruning.masks import validate
from jackpot.randomness import generator
from jackpot.settings import Training
from jackpot.training.engine import Outcome, cpu_state, train
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


def retrain(
    out: str | Path,
    *,
    run: RunName,
    clean: str | Path,
    weights: str | Path,
    mask: str | Path,
    own_checks: Mapping[str, str] | None = None,
    check_options: Mapping[str, Any] | None = None,
    settings: Training,
    epochs: int,
    first_epoch: int,
    device: torch.device,
    keep_weights: bool = False,
    resume: ResumeFile | None = None,
    fingerprint: str = "",
) -> str:
    """Train a ticket: edit its mask and weights as the check says, then train under the mask.

    Args:
        out: folder for ``metrics.json``, ``history.csv`` and, if kept, ``weights.safetensors``.
        weights: starting weights: initial, rewound or trained.
        mask: the pruner's mask.
        own_checks: a user's checks: name -> ``file.py:function``.
        check_options: options of the check, such as its ``scope``.
        epochs, first_epoch: how long, and where the learning-rate schedule starts.

    Returns:
        A line that says what came out.
    """
    start, metadata = load_weights(weights)
    kept, about_mask = load_mask(mask)
    inputs = digests(clean=clean, weights=weights, mask=mask)
    record = Record(run, settings, device, inputs, fingerprint, CODE, resume)
    model = model_with_state(metadata["model"], start)
    try:
        validate(kept, prunable(model))
    except JackpotError as error:
        raise JackpotError(f"{mask} does not fit {weights}: {error}") from None
    check, options = find_check(run.check, own_checks), dict(check_options or {})
    fresh = partial(initial_weights, metadata["model"])
    ticket = spoiled(check, Ticket(kept, start), run.seed, fresh=fresh, **options)
    # Copies: the model holds the tensors that were read, and a check may exchange them.
    model.load_state_dict({name: tensor.clone() for name, tensor in ticket.weights.items()})
    train_data = None
    model = placed(model, settings, device)
    if metadata.get("diverged") or about_mask.get("diverged"):
        # What is made from a training that diverged has diverged: its number would say nothing.
        outcome = Outcome(diverged=True)
    else:
        train_data, test_data = load_splits(clean, clean, device)
        record.bind_resume_file(epochs=epochs, first_epoch=first_epoch, check=[check.code, options])
        outcome = train(
            model,
            train_data,
            test_data,
            settings,
            seed=run.seed,
            epochs=epochs,
            first_epoch=first_epoch,
            mask=ticket.mask,
            resume=resume,
        )
    final = cpu_state(model)
    if keep_weights:
        header = {"model": metadata["model"], "fingerprint": fingerprint}
        save_tensors(Path(out) / "weights.safetensors", final, header)
    # A mask that was never made has no counts.
    layers = [] if about_mask.get("diverged") else layers_of(model, ticket.mask, train_data)
    return write_results(out, record, outcome, layers, final)


def spoiled(check: Check, ticket: Ticket, seed: int, **options: Any) -> Ticket:
    """The ticket of a run, after its check's edits; a combination draws as its members do."""
    editors = {part: check.editor(part) or check for part in ("mask", "weights")}
    draws = [generator(seed, "check", editor.name, part) for part, editor in editors.items()]
    return check.ticket(ticket, *draws, **options)
