"""Which files of a results directory other code or other settings than today's made, and why.

The fingerprints are in the files themselves, so this needs no memory of Snakemake's and works in
a clone as in the directory where the files were made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from jackpot.checks import CHECKS
from jackpot.errors import JackpotError
from jackpot.storage import read_sealed
from jackpot.study import Plan, recorded
from jackpot.study.fingerprints import code_of, differences

REASONS = {
    "code": "other code of its stage",
    "settings": "other settings",
    "inputs": "made from files of other code or settings",
}
FOLDERS = ("data", "weights", "masks", "runs")


@dataclass(frozen=True)
class Finding:
    """One file that is not what today's study and code would make."""

    path: str
    why: str


def findings(plan: Plan) -> Iterator[Finding]:
    """Every file of the study that today's settings and code would not make, with the reason.

    Files that are not there are no finding. Files of the same folders that the study does not
    name (it did when they were made) are.
    """
    known = expected(plan)
    for path, today in sorted(known.items()):
        if Path(path).exists():
            why = _why(plan, path, today)
            if why:
                yield Finding(path, why)
    root = Path(plan.root)
    there = [p for name in FOLDERS for p in sorted((root / name).rglob("*.*")) if _is_made(p)]
    for path in map(str, there):
        if path not in known:
            yield Finding(path, "not part of the study today")


def expected(plan: Plan) -> dict[str, str]:
    """Path -> today's fingerprint of every file that a stage of the study makes."""
    found = dict(plan.results())
    for run in plan.study.runs():
        ticket, data = plan.study.all_tickets[run.ticket], CHECKS[run.check].data_name
        cell = (run.dataset, run.model, run.seed)
        w = SimpleNamespace(**vars(run), data=data, pruner=ticket.pruner)
        pairs = [plan.clean_data(w), plan.seen_data(w), plan.weights_to_pretrain(w)]
        if ticket.pruner is not None:
            pairs.append(plan.weights_to_start(w))
            # A pruner cuts at every sparsity of the study, wanted here or not.
            for sparsity in plan.study.sparsities:
                w.sparsity = f"{sparsity:g}"
                pairs.append(plan.mask_to_train(w))
        if plan.study.pretrains(run.ticket) or ticket.pruner is None:
            today = plan.fingerprints.pretrained(*cell, data)
            for file in ("trained.safetensors", "metrics.json"):
                pairs.append((plan.pretrained(*cell, data, file), today))
            for epoch in plan.study.rewind_epochs:
                pairs.append((plan.pretrained(*cell, data, f"epoch{epoch}.safetensors"), today))
        found.update(pairs)
    return found


def _is_made(path: Path) -> bool:
    return path.name == "metrics.json" or (
        path.suffix == ".safetensors" and path.name != "weights.safetensors"
    )


def _why(plan: Plan, path: str, today: str) -> str:
    made = recorded(path)
    if made is None:
        return "it has no fingerprint, or is damaged"
    reasons = [REASONS[kind] for kind in differences(made, today)]
    if path.endswith(".json"):
        try:
            code = read_sealed(path)["fingerprints"].get("code")
        except JackpotError:
            return "damaged or altered; delete it and start Snakemake again"
        # The code that ran, where someone edited it after Snakemake had looked.
        if code not in _codes() and REASONS["code"] not in reasons:
            reasons.insert(0, REASONS["code"])
    return "; ".join(reasons)


def _codes() -> tuple[str, str]:
    return code_of("jackpot.training.pretrain"), code_of("jackpot.training.retrain")
