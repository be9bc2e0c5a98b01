"""What a look at the results decides: which cells go on to the next one."""

from pathlib import Path

from jackpot.analysis.claims import going_on
from jackpot.analysis.design import Design
from jackpot.analysis.frames import RUN
from jackpot.errors import JackpotError
from jackpot.files.atomic import write_sealed
from jackpot.files.tables import read_table
from jackpot.fingerprints import recorded
from jackpot.study import Plan


def look(plan: Plan, runs: str | Path, out: str | Path) -> None:
    """Write the file of the study's present look and say how many cells go on.

    The file has the cells' names and nothing that depends on time or machine.

    Raises:
        JackpotError: ``runs`` is not the table of exactly this look's runs, or ``out`` is not
            where this look belongs.
    """
    table, now = read_table(runs), plan.progress
    made_of = recorded(f"{plan.root}/about.json")
    if Path(out) != Path(plan.look_now()):
        raise JackpotError(f"{out}: today this look belongs in {plan.look_now()}")
    found = set(table[RUN].itertuples(index=False, name=None))
    today = {(*run.cell, run.seed) for run in now.runs}
    if found != today or made_of != plan.collected(plan.results()):
        raise JackpotError(
            f"{runs}: holds other runs than today's of look {now.look}; delete it and start "
            "Snakemake again."
        )
    cells = sorted(going_on(table, Design(**plan.design()))) if now.look < now.looks else []
    for old in Path(out).parent.glob(f"look{now.look}-*.json"):
        old.unlink()
    write_sealed(out, {"look": now.look, "looks": now.looks, "going_on": cells})
    print(f"look {now.look} of {now.looks}: {len(cells)} cells go on")
