"""A row of runs.csv is the run's own, whatever the training behind it calls itself."""

import pytest

from jackpot.errors import JackpotError
from jackpot.files.atomic import write_sealed
from jackpot.stages.collect import CELL, RUN_COLUMNS, _read_result
from jackpot.study.model import Run

DENSE = Run("digits", "vgg5", "dense", "none", 0.0, 3)


def result_of(tmp_path, run, **changes):
    cell = {key: getattr(run, key) for key in CELL}
    values = {**dict.fromkeys([*RUN_COLUMNS, "layers", "versions"], 1), **cell, **changes}
    write_sealed(tmp_path / "metrics.json", values)
    return tmp_path / "metrics.json"


@pytest.mark.parametrize(
    ("run", "calls_itself"),
    [
        (DENSE, {"model": "plain"}),
        (Run("digits", "vgg5", "full", "none", 0.0, 3), {"ticket": "dense"}),
    ],
)
def test_a_dense_row_bears_the_names_of_its_run(tmp_path, run, calls_itself):
    """A network that stands in for the run's model, and a dense ticket of the user's own name."""
    found = _read_result(run, result_of(tmp_path, run, **calls_itself))
    assert {key: found[key] for key in CELL} == {key: getattr(run, key) for key in CELL}


@pytest.mark.parametrize(
    ("run", "changes", "wrong"),
    [
        (DENSE, {"seed": 4}, "seed"),
        (DENSE, {"dataset": "cifar10"}, "dataset"),
        (Run("digits", "vgg5", "snip", "none", 0.5, 3), {"model": "plain"}, "model"),
        (
            Run("digits", "vgg5", "snip", "none", 0.5, 3),
            {"ticket": "dense", "sparsity": 0.0},
            "sparsity",
        ),
        (Run("digits", "vgg5", "snip", "none", 0.5, 3), {"ticket": "grasp"}, "ticket"),
    ],
)
def test_the_result_of_another_run_is_refused(tmp_path, run, changes, wrong):
    with pytest.raises(JackpotError, match=f"another run's: its {wrong} is"):
        _read_result(run, result_of(tmp_path, run, **changes))
