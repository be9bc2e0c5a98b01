"""Which files of a results directory other code or other settings than today's made, and why.

The fingerprints are in the files themselves, so this needs no memory of Snakemake's and works in
a clone as in the directory where the files were made.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jackpot.errors import JackpotError
from jackpot.files.atomic import read_sealed
from jackpot.fingerprints import code_of, differences, recorded
from jackpot.study.paths import FOLDERS
from jackpot.study.plan import Plan

REASONS = {
    "code": "other code of its stage",
    "settings": "other settings",
    "inputs": "made from files of other code or settings",
}


@dataclass(frozen=True)
class Finding:
    """One file that is not what today's study and code would make."""

    path: str
    why: str


def findings(plan: Plan) -> Iterator[Finding]:
    """Every file of the study that today's settings and code would not make, with the reason.

    Files that are not there are no finding. Files of the same folders that the study does not
    name (it did when they were made) are. Tables, figures and page are one finding, that of
    about.json, which tells what they were made of.
    """
    known, about = plan.files(), f"{plan.root}/about.json"
    if Path(about).exists() and (why := _why_not_told(plan, about)):
        yield Finding(about, why)
    for path, today in sorted(known.items()):
        if Path(path).exists():
            why = _why(path, today)
            if why:
                yield Finding(path, why)
    root = Path(plan.root)
    there = [p for name in FOLDERS for p in sorted((root / name).rglob("*.*")) if _is_made(p)]
    for path in map(str, there):
        if path not in known:
            yield Finding(path, "not part of the study today")


def _why_not_told(plan: Plan, about: str) -> str:
    """Why tables, figures and page are not of today's study; newer results are no reason."""
    try:
        told = read_sealed(about)["provenance"]["fingerprints"]["study"]
    except (JackpotError, KeyError):
        return "damaged or altered; delete it and start Snakemake again"
    same = told == plan.study_digest
    return "" if same else "tables, figures and page are of the study as it was before"


def _is_made(path: Path) -> bool:
    return path.name == "metrics.json" or (
        path.suffix == ".safetensors" and path.name != "weights.safetensors"
    )


def _why(path: str, today: str) -> str:
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
    return code_of("jackpot.stages.pretrain"), code_of("jackpot.stages.retrain")
