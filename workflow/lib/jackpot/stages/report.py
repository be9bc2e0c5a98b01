"""The page of a study, with its figures and tables in it."""

import tempfile
from pathlib import Path

from jackpot.analysis.claims import evaluate_claims
from jackpot.analysis.design import Design
from jackpot.analysis.frames import INGREDIENTS
from jackpot.analysis.reported import reported_for
from jackpot.analysis.tables import write_tables
from jackpot.files.atomic import read_sealed
from jackpot.files.tables import read_table
from jackpot.report import figures
from jackpot.report.page import write_report


def report(
    out: str | Path,
    *,
    runs: str | Path,
    verdicts: str | Path | None,
    histories: str | Path | None,
    layers: str | Path | None,
    about: str | Path | None,
    design: Design,
) -> None:
    """Write ``report.html`` from the tables of a study; all but ``runs`` may be missing."""
    table = read_table(runs)
    said = read_sealed(about) if about else {}
    INGREDIENTS.update(said.get("ingredients", {}))
    judged, history, layer_table = (
        read_table(path) if path else None for path in (verdicts, histories, layers)
    )
    reported = reported_for(table)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        drawn = [] if judged is None else figures.verdicts(judged, folder / "verdicts")
        drawn += [
            *figures.sanity_checks(table, folder / "sanity_checks"),
            *figures.tickets(table, folder / "tickets"),
        ]
        if layer_table is not None:
            drawn += figures.layer_densities(layer_table, folder / "layer_densities")
        if history is not None:
            drawn += figures.learning_curves(history, folder / "learning_curves")
        write_tables(table, folder / "tables", verdicts=judged, reported=reported)
        write_report(
            out,
            runs=table,
            verdicts=judged,
            claims=evaluate_claims(table, design),
            histories=history,
            layers=layer_table,
            about=said or None,
            figures=drawn,
            tables_dir=folder / "tables",
            reported=reported,
            design=design,
        )
    print(f"report: {out}")
