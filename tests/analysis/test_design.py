"""What a study may declare, and what is refused before anything is computed."""

import pandas as pd
import pytest

from jackpot.analysis.design import Design
from jackpot.analysis.frames import CELL
from jackpot.errors import JackpotError

CELLS = [("d", "m", "snip", "none", 0.9), ("d", "m", "snip", "rearranged", 1 - 0.1)]


@pytest.mark.parametrize(
    "looks", [[], [1, 5], [5, 5, 10], [10, 5], [0]], ids=["none", "one", "equal", "falling", "zero"]
)
def test_looks_rise_from_two(looks):
    with pytest.raises(JackpotError, match=r"looks are .* rising numbers of seeds, from 2 on"):
        Design(looks=looks)


@pytest.mark.parametrize(
    ("looks", "shares"),
    [
        ((5, 10), (1.0,)),
        ((5, 10), (0.5, 0.6)),
        ((5, 10), (1.0, 0.0)),
        ((5, 10), (1.5, -0.5)),
        (None, (0.5, 0.5)),
    ],
)
def test_shares_are_one_a_look_and_at_most_all_of_alpha(looks, shares):
    with pytest.raises(JackpotError, match=r"shares are .* at most 1 in all"):
        Design(looks=looks, shares=shares)


def test_shares_are_equal_unless_given_and_may_leave_some_of_alpha():
    assert Design().shares == [1.0]
    assert Design(looks=(5, 10, 20, 40)).shares == [0.25] * 4
    assert Design(looks=(5, 10), shares=(0.1, 0.2)).shares == [0.1, 0.2]
    assert Design(looks=(3, 6, 9), shares=(1 / 3,) * 3).looks == [3, 6, 9]


@pytest.mark.parametrize("resolution", [0, -0.1, {"d": 0.1, "e": 0}])
def test_a_test_image_is_worth_something(resolution):
    with pytest.raises(JackpotError, match="resolution"):
        Design(resolution=resolution)


def test_planned_cells_come_in_any_form():
    expected = [(*cell[:4], round(cell[4], 9)) for cell in CELLS]
    table = pd.DataFrame([*CELLS, CELLS[0]], columns=CELL).assign(seed=1)
    records = [dict(zip(CELL, cell, strict=True)) for cell in CELLS]
    for planned in (table, records):
        found = Design(planned=planned).cells()
        assert list(found.itertuples(index=False, name=None)) == expected
    assert Design().cells() is None
    with pytest.raises(JackpotError, match="lack check"):
        Design(planned=table.drop(columns="check")).cells()
