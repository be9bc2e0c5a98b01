"""The page of a study, with its figures and tables in it."""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from jackpot.analysis.claims import evaluate_claims
from jackpot.analysis.design import Design
from jackpot.analysis.frames import own_checks
from jackpot.analysis.reported import reported_for
from jackpot.analysis.tables import write_tables
from jackpot.files.atomic import read_sealed
from jackpot.files.tables import read_table
from jackpot.report import figures as drawings
from jackpot.report.page import LARGE_SVG, write_report
from jackpot.vocabulary import SOURCE_OF_FIGURE


def report(
    out: str | Path,
    *,
    runs: str | Path,
    verdicts: str | Path | None,
    histories: str | Path | None,
    layers: str | Path | None,
    about: str | Path | None,
    figures: Sequence[str | Path] | None = None,
    tables: str | Path | None = None,
    design: Design,
) -> None:
    """Write ``report.html`` from the tables of a study; all but ``runs`` may be missing.

    Args:
        figures: drawn figures, as SVG and PNG; the page has its own where they are not given.
        tables: the folder of the tables that can be taken from the page; likewise.
    """
    table = read_table(runs)
    said = read_sealed(about) if about else {}
    judged, history, layer_table = (
        read_table(path) if path else None for path in (verdicts, histories, layers)
    )
    sources = {"runs": table, "verdicts": judged, "histories": history, "layers": layer_table}
    reported = reported_for(table)
    with own_checks(said.get("ingredients", {})), tempfile.TemporaryDirectory() as scratch:
        if tables is None:
            tables = Path(scratch)
            write_tables(table, tables, verdicts=judged, reported=reported)
        write_report(
            out,
            runs=table,
            verdicts=judged,
            claims=evaluate_claims(table, design),
            histories=history,
            layers=layer_table,
            about=said or None,
            figures=_drawn(sources, Path(scratch)) if figures is None else figures,
            tables_dir=tables,
            reported=reported,
            design=design,
        )
    print(f"report: {out}")


def _drawn(tables: Mapping[str, pd.DataFrame | None], folder: Path) -> list[Path]:
    """Every figure whose table is there: as SVG, which the page carries unless it is very large."""
    drawn: list[Path] = []
    for figure, source in SOURCE_OF_FIGURE.items():
        if tables[source] is None:
            continue
        draw = partial(getattr(drawings, figure), tables[source], folder / figure)
        drawn += draw(kinds=("svg",))
        if drawn[-1].stat().st_size > LARGE_SVG:
            drawn += draw(kinds=("png",))
    return drawn
