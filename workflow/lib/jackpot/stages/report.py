"""The page of a study, with its figures and tables in it."""

from collections.abc import Sequence
from pathlib import Path

from jackpot.analysis.claims import evaluate_claims
from jackpot.analysis.design import Design
from jackpot.analysis.frames import own_checks
from jackpot.analysis.reported import reported_for
from jackpot.files.atomic import read_sealed
from jackpot.files.tables import read_table
from jackpot.report.page import write_report


def report(
    out: str | Path,
    *,
    runs: str | Path,
    verdicts: str | Path | None,
    histories: str | Path | None,
    layers: str | Path | None,
    about: str | Path | None,
    figures: Sequence[str | Path] = (),
    tables: str | Path | None = None,
    design: Design,
) -> None:
    """Write ``report.html`` from the tables of a study; all but ``runs`` may be missing.

    Args:
        figures: drawn figures, as SVG and PNG.
        tables: the folder of the tables that can be taken from the page.
    """
    table = read_table(runs)
    said = read_sealed(about) if about else {}
    judged, history, layer_table = (
        read_table(path) if path else None for path in (verdicts, histories, layers)
    )
    with own_checks(said.get("ingredients", {})):
        write_report(
            out,
            runs=table,
            verdicts=judged,
            claims=evaluate_claims(table, design),
            histories=history,
            layers=layer_table,
            about=said or None,
            figures=figures,
            tables_dir=tables,
            reported=reported_for(table),
            design=design,
        )
    print(f"report: {out}")
