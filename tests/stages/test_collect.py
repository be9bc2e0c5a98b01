"""What the page is told of a study beside its results."""

import shlex

from jackpot.stages.collect import about
from jackpot.study import Plan, load_config, load_study
from tests.support.studies import written


def told(tmp_path, config=None, **changes):
    path = str(written(tmp_path, **changes))
    config = load_config({"study": path, **(config or {})}, "the test")
    return about(Plan(load_study(path, {}), config), []), path


def test_the_command_is_the_one_that_makes_this_study(tmp_path):
    found, path = told(tmp_path)
    assert found["command"] == f"snakemake --cores all --config study={path}"
    elsewhere = {"results_dir": "my results", "data_dir": "/data"}
    found, path = told(tmp_path, elsewhere)
    words = shlex.split(found["command"])
    assert words[-3:] == [f"study={path}", "results_dir=my results", "data_dir=/data"]
    assert {run["path"].split("/")[0] for run in found["expected_runs"]} == {"my results"}


def test_which_checks_apply_is_told_ticket_by_ticket(tmp_path):
    tickets = ["dense", "snip", "synflow", "lottery"]
    experiments = [{"tickets": tickets, "sparsities": [0.9], "seeds": [0]}]
    applicable = told(tmp_path, experiments=experiments)[0]["applicable_checks"]
    assert set(applicable) == set(tickets)
    assert applicable["dense"] == ["none"]
    assert "random_labels" in applicable["snip"] and "half_dataset" not in applicable["snip"]
    assert not {"random_labels", "half_dataset"} & set(applicable["synflow"])
    assert {"random_labels", "half_dataset", "rearranged"} < set(applicable["lottery"])
