"""Which runs of a study are made now: its first look's, and more where a look left a question open.

A study with ``statistics.looks`` reaches verdicts at declared numbers of seeds. What a look decides
is kept in a small sealed file, whose name holds the digest of all that it rests on: the declared
design, the code of the tests, and the fingerprints of the results that were looked at. A file of
that name is the look of today's study; any other one is of the past. So the file can neither be
stale nor depend on another look's file, and one that is lost is made again.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jackpot.study.model import Run, Study

Cell = tuple[str, str, str, str, float]


@dataclass(frozen=True)
class Progress:
    """How far a study has come.

    Attributes:
        look: the look whose runs are made now, from 1 on.
        looks: how many the study declares.
        runs: the runs of this look and of those before it, sorted.
        going_on: the cells that the look before this one sent on to it; all of them at the first.
        decided: whether this look is there already, so that nothing follows.
    """

    look: int
    looks: int
    runs: list[Run]
    going_on: set[Cell]
    decided: bool

    def sentence(self, study: Study) -> str:
        """Where the study stands, for the person who started it; empty for a single look."""
        looks = study.statistics.looks
        if looks is None:
            return ""
        n, (open_cells, cells) = looks[self.look - 1], self._checked(study)
        start = f"{study.name}: look {self.look} of {self.looks}, {n} seeds a cell"
        if self.decided:
            return f"{start}; nothing is left to look at."
        most = (looks[-1] - n) * len(self.going_on)
        return (
            f"{start}; {open_cells} of {cells} checked cells are open. "
            f"Later looks can ask for {most} more runs at most."
        )

    def standing(self, study: Study) -> str:
        """The same for a line that has little room."""
        if study.statistics.looks is None:
            return ""
        open_cells, cells = self._checked(study)
        return f"{cells - open_cells} of {cells} cells decided"

    def _checked(self, study: Study) -> tuple[int, int]:
        """How many checked cells go on, and how many there are: those that get a verdict."""
        cells = {run.cell for run in study.runs() if run.check != "none"}
        return len(cells & self.going_on), len(cells)


def progress(study: Study, read: Callable[[int, list[Run]], set[Cell] | None]) -> Progress:
    """How far a study has come.

    Args:
        read: the cells that a look, given its number and all runs up to it, sends on to the next
            one; None where that look has not been made.
    """
    runs = study.runs()
    cells = {run.cell for run in runs}
    looks = study.statistics.looks
    if looks is None:
        return Progress(1, 1, runs, cells, decided=True)
    position = {seed: i for i, seed in enumerate(study.seed_order)}
    now = [run for run in runs if position[run.seed] < looks[0]]
    for look, n in enumerate(looks, 1):
        more = read(look, now)
        if not more or look == len(looks):
            break
        cells = more
        now += [r for r in runs if r.cell in more and n <= position[r.seed] < looks[look]]
    return Progress(look, len(looks), sorted(now), cells, more is not None)
