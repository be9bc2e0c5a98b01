"""The page of a study, with its figures and tables in it."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from jackpot.analysis.claims import evaluate_claims
from jackpot.analysis.design import Design
from jackpot.analysis.frames import own_ingredients
from jackpot.analysis.reported import reported_for
from jackpot.analysis.tables import write_tables
from jackpot.files.atomic import read_sealed
from jackpot.files.tables import read_table
from jackpot.report import figures
from jackpot.report.page import LARGE_SVG, write_report
from jackpot.vocabulary import FIGURE_KINDS, SOURCE_OF_FIGURE


def report(
    out: str | Path,
    *,
    runs: str | Path,
    verdicts: str | Path | None,
    histories: str | Path | None,
    layers: str | Path | None,
    about: str | Path | None,
    design: Design,
    keep: str | Path | None = None,
) -> None:
    """Write ``report.html`` from the tables of a study; all but ``runs`` may be missing.

    Args:
        keep: a folder for all figures, in every format, and tables: ``figures/`` and ``tables/``.
    """
    table = read_table(runs)
    said = read_sealed(about) if about else {}
    judged, history, layer_table = (
        read_table(path) if path else None for path in (verdicts, histories, layers)
    )
    sources = {"runs": table, "verdicts": judged, "histories": history, "layers": layer_table}
    reported = reported_for(table)
    with own_ingredients(said.get("ingredients", {})), tempfile.TemporaryDirectory() as scratch:
        folder = Path(keep or scratch)
        drawn = []
        for figure, source in SOURCE_OF_FIGURE.items():
            if sources[source] is not None:
                draw = partial(getattr(figures, figure), sources[source])
                drawn += _drawn(
                    draw, folder / "figures" / figure, FIGURE_KINDS if keep else ("svg",)
                )
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


def _drawn(draw: Callable[..., list[Path]], stem: Path, kinds: Sequence[str]) -> list[Path]:
    """A figure's files, with a PNG where the SVG is too large for the page."""
    drawn = draw(stem, kinds)
    if "png" not in kinds and drawn[0].stat().st_size > LARGE_SVG:
        drawn += draw(stem, ("png",))
    return drawn
