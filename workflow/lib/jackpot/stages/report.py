"""The page of a study, with its figures and tables in it."""

from collections.abc import Sequence
from pathlib import Path

from jackpot.analysis.claims import evaluate_claims
from jackpot.analysis.design import Design
from jackpot.analysis.frames import own_ingredients
from jackpot.analysis.reported import reported_for
from jackpot.files.atomic import read_sealed
from jackpot.files.tables import read_table
from jackpot.report.page import write_report


def report(
    out: str | Path,
    *,
    runs: str | Path,
    verdicts: str | Path,
    layers: str | Path,
    about: str | Path,
    figures: Sequence[str | Path],
    tables: Sequence[str | Path],
    design: Design,
) -> None:
    """Write ``report.html`` from what was collected and judged of a study.

    Args:
        figures: files that ``draw`` wrote; of each figure one goes into the page.
        tables: files that ``tabulate`` wrote; they and ``verdicts`` can be taken from the page.
    """
    table, said = read_table(runs), read_sealed(about)
    with own_ingredients(said.get("ingredients", {})):
        write_report(
            out,
            runs=table,
            verdicts=read_table(verdicts),
            claims=evaluate_claims(table, design),
            layers=read_table(layers),
            about=said,
            figures=figures,
            tables=[*tables, verdicts],
            reported=reported_for(table),
            design=design,
        )
    print(f"report: {out}")
