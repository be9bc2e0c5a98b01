"""The page of findings: what each claim came to in the published studies.

    python -m jackpot.report.findings results/published docs/findings.md

Every number is computed from the published files; a test compares the page with them.
"""

import sys
from collections.abc import Container, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from jackpot.analysis.chance import guessing
from jackpot.analysis.claims import ClaimResult, evaluate_claims
from jackpot.analysis.design import Design
from jackpot.analysis.frames import Network, prepare_runs
from jackpot.analysis.papers import CLAIMS
from jackpot.analysis.tables import DASH
from jackpot.files.atomic import read_sealed, write_text
from jackpot.files.tables import read_table
from jackpot.report.claims import covers_a_part, numbers_of
from jackpot.report.doubts import doubts
from jackpot.study import Config, Plan, Study
from jackpot.study.load import validated
from jackpot.vocabulary import CHECKS, TICKETS, VERDICTS, in_order, words

NOT_TESTED = "–"
TEMPLATES = Path(__file__).parent / "templates"


def published_plan(folder: str | Path) -> Plan:
    """The study of a published folder, as it was when it was published.

    Raises:
        JackpotError: a file of the user's own that it names is gone, or is another by now.
    """
    about = Path(folder) / "about.json"
    study = validated(Study, read_sealed(about)["study"], about)
    return Plan(study, Config(study=f"studies/{study.name}.yaml"))


def published(folder: str | Path) -> list[Path]:
    """The folders of published studies in ``folder``, by name."""
    return sorted(path.parent for path in Path(folder).glob("*/about.json"))


def write_findings(folder: str | Path, out: str | Path) -> None:
    """Write the page from the studies that are published in ``folder``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    studies = [_study(path) for path in published(folder)]
    template = environment.get_template("findings.md.j2")
    outcomes = [
        (claim.sentence, [study["outcomes"][claim.id] for study in studies])
        for claim in CLAIMS
        if any(study["outcomes"][claim.id] != NOT_TESTED for study in studies)
    ]
    legend = [(style.symbol, style.label) for style in VERDICTS.values()]
    write_text(out, template.render(studies=studies, outcomes=outcomes, legend=legend))


def _study(folder: Path) -> dict[str, Any]:
    about = read_sealed(folder / "about.json")
    runs, verdicts = (read_table(folder / f"{name}.csv") for name in ("runs", "verdicts"))
    plan = published_plan(folder)
    claims = evaluate_claims(runs, Design(**plan.design()))
    provenance = about["provenance"]
    prepared = prepare_runs(runs)
    guesses = guessing(prepared)
    counts = verdicts["verdict"].value_counts()
    return {
        "name": plan.study.name,
        "description": plan.study.description,
        "networks": ", ".join(
            f"{name} on {dataset}" for dataset, name in _pairs(runs, "dataset", "model")
        ),
        "runs": f"{len(runs):,}",
        "sources": ", ".join(
            f"{name} ({said.kind}{f', sha256 {said.sha256[:12]}...' if said.sha256 else ''})"
            for name, said in plan.study.datasets.items()
        ),
        "devices": ", ".join(provenance["devices"]),
        "torch": provenance["versions"]["torch"],
        "arithmetic": provenance["versions"]["arithmetic"],
        "days": " to ".join(dict.fromkeys(provenance["trained"])),
        "margin": f"{plan.study.statistics.margin:g}",
        "alpha": f"{plan.study.statistics.alpha:g}",
        "seeds": _seeds(verdicts["n"]),
        "counts": [(counts[name], words(name)) for name in VERDICTS if name in counts],
        "cells": len(verdicts),
        "outcomes": {result.claim.id: _outcome(result, guesses) for result in claims},
        "claims": [
            {
                "sentence": result.claim.sentence,
                "source": result.claim.source,
                "word": _outcome(result, guesses),
                "numbers": numbers_of(result, guesses),
            }
            for result in claims
            if result.verdict != "not_tested"
        ],
        "grid": _grid(verdicts),
        "warnings": doubts(prepared, about),
    }


def _outcome(result: ClaimResult, guesses: Container[Network]) -> str:
    if result.verdict == "not_tested":
        return NOT_TESTED
    return words(result.verdict) + " (a part)" * covers_a_part(result, guesses)


def _pairs(table: pd.DataFrame, *columns: str) -> list[tuple]:
    return sorted(set(table[list(columns)].itertuples(index=False, name=None)))


def _seeds(n: Sequence[int]) -> str:
    counts = [str(number) for number in sorted(set(n))]
    return counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} or {counts[-1]}"


def _grid(verdicts: pd.DataFrame) -> dict[str, Any]:
    """A row a ticket, a column a check; the symbols of a cell's sparsities beside one another."""
    checks = in_order(verdicts["check"], CHECKS)
    sparsities = sorted(set(verdicts["sparsity"]))
    rows = []
    for (dataset, model), part in verdicts.groupby(["dataset", "model"]):
        for ticket in in_order(part["ticket"], TICKETS):
            mine = part[part["ticket"] == ticket]
            cells = [_symbols(mine[mine["check"] == check], sparsities) for check in checks]
            rows.append([words(ticket), f"{model} on {dataset}", *cells])
    return {
        "checks": [words(check) for check in checks],
        "rows": rows,
        "sparsities": ", ".join(f"{100 * s:g} %" for s in sparsities),
    }


def _symbols(cells: pd.DataFrame, sparsities: Sequence[float]) -> str:
    """A symbol for each sparsity, with a dash for one that was not run; empty without any cell."""
    if cells.empty:
        return ""
    found = dict(zip(cells["sparsity"], cells["verdict"], strict=True))
    return " ".join(VERDICTS[found[s]].symbol if s in found else DASH for s in sparsities)


if __name__ == "__main__":
    write_findings(*sys.argv[1:])
