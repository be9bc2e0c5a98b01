"""A study's tables, made from results wherever they lie."""

from pathlib import Path

from jackpot.analysis.design import Design
from jackpot.files.atomic import read_sealed
from jackpot.stages.collect import write_results
from jackpot.stages.verdicts import judge
from jackpot.study import Plan, Run

NAMES = ("runs", "layers", "histories", "verdicts")


def write_tables(
    plan: Plan, runs: list[Run], root: Path, out: Path, about: Path
) -> dict[str, Path]:
    """Write the tables of a study's runs whose results are below ``root``: name -> file in ``out``.

    Args:
        about: ``about.json``, for what results do not say of their data; it may be missing.

    Raises:
        JackpotError: a result is missing, damaged, or is another run's.
    """
    tables = {name: out / f"{name}.csv" for name in NAMES}
    test = read_sealed(about)["provenance"].get("test", {}) if about.exists() else {}
    write_results(plan.study.name, runs, root, out, test)
    judge(tables["runs"], tables["verdicts"], Design(**plan.design()))
    return tables
