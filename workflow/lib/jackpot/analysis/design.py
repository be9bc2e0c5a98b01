"""What a study declares before anything is run: margin, error rate, looks and planned cells."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from pydantic import ValidationError

from jackpot.analysis.frames import CELL
from jackpot.analysis.sequential import FINEST, resolutions
from jackpot.errors import JackpotError
from jackpot.settings import ALPHA, MARGIN, Statistics, complaints


@dataclass(frozen=True)
class Design:
    """What a study declares before anything is run, and what its tests are computed with.

    Attributes:
        margin: the largest difference, in points of accuracy, that counts as none.
        alpha: error rate of each family of tests, over all looks and after Holm.
        looks: numbers of seeds at which results are looked at, rising. None is one look at
            whatever seeds there are.
        shares: the part of alpha that each look spends, at most 1 in all; equal unless given.
        planned: all cells of the study, run or not, ``none`` included: a table with the columns
            of ``CELL``, or a list of mappings or objects with these fields. They are the family
            of Holm's correction, and no other cell is judged. None: the cells of the table. In a
            study without looks a further field, ``seeds``, lists those of each cell: before all
            of them have run there is no verdict.
        seeds: the seeds in the order in which they are run; ascending, of those in the table and
            in ``planned``, unless given.
        resolution: points of accuracy per test image, one number or one for every dataset;
            worked out by ``resolutions`` unless given.
    """

    margin: float = MARGIN
    alpha: float = ALPHA
    looks: Sequence[int] | None = None
    shares: Sequence[float] | None = None
    planned: Any = None
    seeds: Sequence[int] | None = None
    resolution: float | Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        looks = None if self.looks is None else [int(n) for n in self.looks]
        shares = None if self.shares is None else [float(w) for w in self.shares]
        try:
            Statistics(margin=self.margin, alpha=self.alpha, looks=looks, shares=shares)
        except ValidationError as error:
            raise JackpotError(f"{'; '.join(complaints(error))}.") from None
        count = len(looks or (1,))
        sizes = self.resolution
        sizes = list(sizes.values()) if isinstance(sizes, Mapping) else [sizes]
        if any(g is not None and not g > 0 for g in sizes):
            raise JackpotError(f"resolution is {self.resolution}: it must be above 0 points.")
        object.__setattr__(self, "looks", looks)
        object.__setattr__(self, "shares", shares or [1 / count] * count)

    def resolved(self, runs: pd.DataFrame) -> "Design":
        """The same with the ``resolution`` and the order of ``seeds`` of ``runs``, as prepared."""
        found = {}
        if self.resolution is None:
            found["resolution"] = resolutions(runs)
        if self.seeds is None:
            planned = self.cells()
            listed = [] if planned is None else planned.get("seeds", [])
            found["seeds"] = sorted(set(runs["seed"]).union(*listed))
        return replace(self, **found)

    def resolution_of(self, dataset: str) -> float:
        """Points of accuracy per test image of a dataset; the finest where nothing is known."""
        known = self.resolution
        return (known.get(dataset) if isinstance(known, Mapping) else known) or FINEST

    def cells(self) -> pd.DataFrame | None:
        """``planned`` as a table with the columns of ``CELL``, and ``seeds`` if it has them."""
        if self.planned is None:
            return None
        planned = pd.DataFrame(self.planned)
        missing = [name for name in CELL if name not in planned]
        if missing and len(planned):
            raise JackpotError(f"the planned cells lack {', '.join(missing)}.")
        columns = [*CELL, *(["seeds"] if "seeds" in planned else [])]
        planned = planned.reindex(columns=columns).astype({"sparsity": float})
        return planned.assign(sparsity=planned["sparsity"].round(9)).drop_duplicates(CELL)
