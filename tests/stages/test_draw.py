"""A figure from a table by hand."""

import pytest

from jackpot.errors import JackpotError
from jackpot.files.tables import write_table
from jackpot.stages.draw import draw
from jackpot.vocabulary import SOURCE_OF_FIGURE
from tests.support.synthetic import make_study


@pytest.mark.parametrize("figure", SOURCE_OF_FIGURE)
def test_a_table_of_another_kind_is_refused(tmp_path, figure):
    table = tmp_path / "table.csv"
    source = SOURCE_OF_FIGURE[figure]
    study = make_study(seeds=(0, 1))
    write_table(table, study.layers if source == "runs" else study.runs)
    why = r"lacks the column\(s\) test_accuracy" if source == "runs" else f"of {source}.csv, which"
    with pytest.raises(JackpotError, match=why):
        draw(figure, table, tmp_path / "figure")
    assert list(tmp_path.iterdir()) == [table]
