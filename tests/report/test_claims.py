"""The papers' claims on the page."""

from jackpot.analysis.claim import HARM
from jackpot.report.claims import claim_entries
from jackpot.report.evidence import claim_rows
from tests.support.synthetic import claimed, verdict_rows


def test_a_claim_and_the_grid_are_told_apart():
    rows = verdict_rows(("snip", "rearranged", 0.9, "x"), ("snip", "rearranged", 0.98, "x"))
    rows = rows.assign(outcome=["did_not_hold", "held"], ci95_low=-1.0, ci95_high=0.0)
    rows["margin"] = 1.0
    rows["effect"] = False
    grid = verdict_rows(
        ("snip", "rearranged", 0.9, "undecided"), ("snip", "rearranged", 0.98, "unaffected")
    )
    (entry,) = claim_entries([claimed(rows=rows)], grid)
    assert entry["short"] == (
        "2 cells: 1 for it and 1 against it; the grid, where each must convince by itself, "
        "leaves 1 of these undecided"
    )
    # A loss that the grid calls one, and the smaller family smaller than the margin.
    harmed = grid.assign(verdict=["degraded", "unaffected"])
    (entry_of_harm,) = claim_entries([claimed(rows=rows, outcome=HARM)], harmed)
    assert entry_of_harm["short"].endswith("itself, calls 1 of those against it degraded")
    # A claim of no harm fails by what the grid calls harm, too: the two say the same.
    (entry_of_none,) = claim_entries([claimed(rows=rows)], harmed)
    assert "degraded" not in entry_of_none["short"]
    # A claim of an effect can fail because the effect is small.
    (small,) = claim_entries([claimed(rows=rows.assign(effect=True), outcome=HARM)], None)
    assert small["short"].endswith(
        "1 against it (with a loss beyond doubt, but smaller than the margin)"
    )
    large = rows.assign(effect=True, mean_difference=-1.5)
    (beyond,) = claim_entries([claimed(rows=large, outcome=HARM)], None)
    assert "smaller than" not in beyond["short"], "not of what is shown to be larger"
    table = claim_rows(entry)
    assert [column.label for column in table.columns[-2:]] == ["in this claim", "in the grid"]
    assert [[cell.text for cell in row[-2:]] for row in table.rows] == [
        ["✗ against it", "? undecided"],
        ["✓ for it", "≈ unaffected"],
    ]


def test_a_claims_cells_are_in_the_order_of_the_grid():
    rows = verdict_rows(*((name, "rearranged", 0.9, "x") for name in ("grasp", "hybrid", "snip")))
    rows = rows.assign(outcome="held", ci95_low=-1.0, ci95_high=0.0, margin=1.0, effect=False)
    (entry,) = claim_entries([claimed(rows=rows)], None)
    assert [row["ticket"] for row in entry["rows"]] == ["snip", "grasp", "hybrid"]
