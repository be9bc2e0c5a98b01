"""Rows of runs.csv are their runs' own; what the page is told of a study beside its results."""

import shlex
from pathlib import Path

import pytest
from snakemake.cli import parse_config

from jackpot.analysis.frames import RUN
from jackpot.errors import JackpotError
from jackpot.files.atomic import read_sealed, write_sealed
from jackpot.fingerprints import code_of_file
from jackpot.report.doubts import declared_anew
from jackpot.stages.collect import (
    OTHERS,
    RUN_COLUMNS,
    _read_result,
    about,
    data_of,
    declare,
    deviations,
)
from jackpot.study import Plan, Study, load_config, load_study
from jackpot.study.model import Run
from tests.support import ROOT
from tests.support.damage import cut, html, something_else
from tests.support.small import make_data
from tests.support.snake import STUDY
from tests.support.studies import written

DENSE = Run("digits", "vgg5", "dense", "none", 0.0, 3)


def result_of(tmp_path, run, **changes):
    cell = {key: getattr(run, key) for key in RUN}
    values = {**dict.fromkeys([*RUN_COLUMNS, *OTHERS], 1), **cell, **changes}
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
    assert {key: found[key] for key in RUN} == {key: getattr(run, key) for key in RUN}


@pytest.mark.parametrize(
    ("run", "changes", "wrong"),
    [
        (DENSE, {"seed": 4}, "seed"),
        (DENSE, {"dataset": "cifar10"}, "dataset"),
        (Run("digits", "vgg5", "snip", "none", 0.5, 3), {"model": "plain"}, "model"),
        (Run("digits", "vgg5", "snip", "none", 0.5, 3), {"ticket": "dense"}, "ticket"),
        (DENSE, {"sparsity": 0.5}, "sparsity"),
        (Run("digits", "vgg5", "snip", "none", 0.5, 3), {"ticket": "grasp"}, "ticket"),
    ],
)
def test_the_result_of_another_run_is_refused(tmp_path, run, changes, wrong):
    with pytest.raises(JackpotError, match=f"another run's: its {wrong} is"):
        _read_result(run, result_of(tmp_path, run, **changes))


def plan_of(tmp_path, config=None, **changes):
    path = str(written(tmp_path, **changes))
    config = load_config({"study": path, **(config or {})}, "the test")
    return Plan(load_study(path, {}), config), path


def told(tmp_path, config=None, **changes):
    plan, path = plan_of(tmp_path, config, **changes)
    return about(plan, [], {}), path


@pytest.mark.parametrize("damage", [cut, html, something_else])
def test_a_damaged_dataset_is_named(tmp_path, damage):
    plan, _ = plan_of(tmp_path, config={"results_dir": str(tmp_path), "data_dir": str(tmp_path)})
    path = Path(plan.data("digits", "clean"))
    make_data(path)
    assert data_of(plan, tmp_path / "none")["test"]["digits"]["test_images"] == 64
    damage(path)
    with pytest.raises(JackpotError, match=f"^{path}: damaged or not what it should be"):
        data_of(plan, tmp_path / "none")


def test_what_is_declared_anew_is_kept_beside_what_was(tmp_path):
    record = tmp_path / "declared.json"

    def margins(margin, **changes):
        statistics = {"margin": margin, **changes}
        plan, _ = plan_of(tmp_path, statistics=statistics)
        found = declare(plan, record)
        assert read_sealed(record)["declared"] == found
        return [said["margin"] for said in found]

    assert margins(3.0) == margins(3.0) == [3.0]
    assert margins(9.0) == margins(9.0) == [3.0, 9.0]
    # As an earlier version wrote it; then whatever else is declared is noticed.
    known = read_sealed(record)["declared"]
    write_sealed(record, {"declared": [{k: v for k, v in d.items() if k != "runs"} for d in known]})
    assert margins(9.0) == [3.0, 9.0] and "runs" in read_sealed(record)["declared"][-1]
    assert margins(3.0) == [3.0, 9.0, 3.0]
    assert margins(3.0, alpha=0.01) == [3.0, 9.0, 3.0, 3.0]


def test_other_settings_of_the_runs_are_declared_anew_too(tmp_path):
    """Other draws of a data check, on the same seeds, are another try."""
    record, experiment = tmp_path / "declared.json", {"tickets": ["snip"], "sparsities": [0.9]}
    experiment |= {"checks": ["random_labels"], "seeds": [0]}

    def declared(**changes):
        plan, _ = plan_of(tmp_path, experiments=[experiment], **changes)
        return declared_anew(declare(plan, record))

    assert declared() == declared(description="told otherwise") == []
    for seeds in ([0, 1], [3]):
        experiment["seeds"] = seeds
        assert "other settings" not in declared()[0]
    (said,) = declared(data_seed=1)
    assert " and other settings of the runs (" in said


def test_what_no_run_has_is_not_declared_anew(tmp_path):
    """A pruner that nothing uses, a second ticket, or the same archive in another place."""
    record, digits = tmp_path / "declared.json", {"kind": "digits"}
    archive = {"kind": "image_folder", "sha256": "0" * 64}
    with_archive = {"digits": digits, "other": archive}

    def declared(**changes):
        plan, _ = plan_of(tmp_path, **changes)
        return declared_anew(declare(plan, record))

    assert declared() == declared(pruners={"spare": {"score": "magnitude"}}) == []
    experiment = {"tickets": ["snip", "grasp"], "checks": ["rearranged"], "sparsities": [0.9]}
    (said,) = declared(experiments=[{**experiment, "seeds": [0]}])
    assert "comparisons 0 became 2" in said and "settings" not in said
    record.unlink()
    for place in ("a.tar", "b.tar"):
        archive["path"] = str(tmp_path / place)
        Path(archive["path"]).write_bytes(b"")
        assert declared(datasets=with_archive) == []


def test_other_code_of_ones_own_is_declared_anew_too(tmp_path, monkeypatch):
    """A score that was edited once its results were seen is another try on the same seeds."""
    monkeypatch.chdir(tmp_path)
    record, score = tmp_path / "declared.json", tmp_path / "mine.py"
    pruners = {"mine": {"score": "mine.py:mine"}}

    def declared(text, **more):
        score.write_text(f"def mine(model, data, generator):\n    {text}\n")
        code_of_file.cache_clear()
        plan, _ = plan_of(tmp_path, pruners={**pruners, **more})
        return declared_anew(declare(plan, record))

    assert declared("return 1") == declared("return 1  # one") == []
    (tmp_path / "other.py").write_text("def other(model, data, generator):\n    return 2\n")
    assert declared("return 1", other={"score": "other.py:other"}) == []
    (said,) = declared("return 2")
    assert "were there: other code of the study's own files (2" in said
    (said,) = declared("return 3")
    assert "were there: other code of the study's own files (2 times, last 2" in said


def test_other_seeds_and_other_cells_are_declared_anew_too(tmp_path):
    record = tmp_path / "declared.json"

    def declared(seeds, checks):
        experiment = {"tickets": ["snip"], "checks": checks, "sparsities": [0.9], "seeds": seeds}
        plan, _ = plan_of(tmp_path, experiments=[experiment])
        return declare(plan, record)

    two = ["rearranged", "reinitialized"]
    assert len(declared([0, 1], two)) == len(declared([0, 1], two)) == 1
    assert len(declared([0, 1, 2], two)) == 2
    assert len(declared([0, 1, 2], ["rearranged"])) == 3
    (said,) = declared_anew(declared([0, 1, 7], ["shuffled_weights"]))
    assert "runs 6 became 9" in said and "comparisons 2 became 1, runs 9 became 6" in said
    assert "other cells or seeds" in said


def test_of_combinations_those_of_the_study_apply(tmp_path):
    both = ["random_labels", "rearranged"]
    experiments = [{"tickets": ["snip"], "checks": [both], "sparsities": [0.9], "seeds": [0]}]
    experiments += [{"tickets": ["random"], "sparsities": [0.9], "seeds": [0]}]
    applicable = told(tmp_path, experiments=experiments)[0]["applicable_checks"]
    name = "random_labels+rearranged"
    assert name in applicable["snip"] and name not in applicable["random"]


def test_outside_the_clone_the_command_names_the_snakefile(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found, path = told(tmp_path, {"threads": 2, "device": "cpu"})
    words = shlex.split(found["command"])
    assert words[:3] == ["snakemake", "--cores", "all"]
    assert words[3] == "--snakefile" and Path(words[4]).is_file()
    assert words[5:] == ["--config", f"study={path}", "device=cpu", "threads=2"]


def test_the_command_is_the_one_that_makes_this_study(tmp_path):
    found, path = told(tmp_path)
    assert found["command"] == f"snakemake --cores all --config study={path}"
    elsewhere = {"results_dir": "my results", "data_dir": "/data"}
    found, path = told(tmp_path, elsewhere)
    words = shlex.split(found["command"])
    assert words[-3:] == [f"study={path}", "results_dir=my results", "data_dir=/data"]
    assert {run["path"].split("/")[0] for run in found["expected_runs"]} == {"my results"}
    # What this machine's config.yaml says of a dataset makes it another study.
    own = {"datasets": {"digits": {"test_fraction": 0.25}}}
    found, path = told(tmp_path, own)
    pasted = load_config(parse_config([shlex.split(found["command"])[-1]]))
    assert load_study(path, pasted.datasets) == load_study(path, own["datasets"])
    assert load_study(path, pasted.datasets) != load_study(path)


def test_which_checks_apply_is_told_ticket_by_ticket(tmp_path):
    tickets = ["dense", "snip", "synflow", "lottery"]
    experiments = [{"tickets": tickets, "sparsities": [0.9], "seeds": [0]}]
    applicable = told(tmp_path, experiments=experiments)[0]["applicable_checks"]
    assert set(applicable) == set(tickets)
    assert applicable["dense"] == ["none"]
    assert "random_labels" in applicable["snip"] and "half_dataset" not in applicable["snip"]
    assert not {"random_labels", "half_dataset"} & set(applicable["synflow"])
    assert {"random_labels", "half_dataset", "rearranged"} < set(applicable["lottery"])


def test_other_settings_of_a_built_in_pruner_are_told():
    changes = {
        "pruners": {"snip": {"score": "snip", "rounds": 3, "allocation": "uniform"}},
        "experiments": [
            {"tickets": ["snip", "lottery", "force"], "sparsities": [0.8], "seeds": [0]}
        ],
    }
    told = deviations(Study(**{**STUDY, **changes}))
    assert told[-1] == "pruner snip: allocation: uniform; rounds: 3"


@pytest.mark.parametrize(
    ("study", "told"),
    [
        ("digits", {"training: epochs: 4; batch_size: 32; weight_decay: 0.0005; decay: linear; "
                    "crop_padding: 0; flip: False"}),
        ("mlrc2020", {
            "model vgg19: affine: False",
            "training: missed_milestones: preset",
            "rewinding: rewind_weights_epoch: 41; retrain_epochs: 160",
            "check random_pixels: scope: rows",
            "pruner snip: reinit: True",
            "for model vgg19, ticket grasp: retraining: weight_decay 0.0005",
            "for pruner snip: pruning_batch: kind shuffled, size 64",
        }),
        ("su2020", {
            "model vgg19: initial: fan_in; bias: True",
            "model resnet56: bottleneck: True",
            "training: missed_milestones: multiply",
            "pruner magnitude: keep_classifier: True",
        }),
    ],
)  # fmt: skip
def test_the_page_lists_what_is_not_a_default(study, told):
    assert told <= set(deviations(load_study(ROOT / "studies" / f"{study}.yaml")))
