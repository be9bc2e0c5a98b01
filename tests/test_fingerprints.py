"""Fingerprints change with what decides a result and with nothing else."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jackpot.storage import save_tensors, write_json
from jackpot.study import load_study, recorded
from jackpot.study.fingerprints import Fingerprints, _bare
from jackpot.study.model import Run
from tests.test_study import SMALL

PACKAGE = Path(__file__).parent.parent / "workflow" / "lib" / "jackpot"
TICKETS = ["dense", "snip", "lottery", "lr_rewinding"]


def fingerprints(tmp_path, **changes):
    experiments = [{"tickets": TICKETS, "sparsities": [0.9], "seeds": [0, 1]}]
    values = {**SMALL, "experiments": experiments, **changes}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    found = Fingerprints(load_study(path))
    cell = ("digits", "vgg5")
    return {
        "data": found.data("digits", "clean"),
        "labels": found.data("digits", "random_labels"),
        "initial": found.initial(*cell, 0),
        "pretrained": found.pretrained(*cell, 0, "clean"),
        "snip": found.masks(*cell, "snip", "clean", 0),
        "magnitude": found.masks(*cell, "magnitude", "clean", 0),
        **{f"run {t}": found.run(Run(*cell, t, "none", 0.9, 0)) for t in TICKETS},
    }


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"description": "other"}, set()),
        ({"statistics": {"margin": 2}}, set()),
        (
            {"overrides": [{"when": {"ticket": "snip"}, "retraining": {"batch_size": 9}}]},
            {"run snip"},
        ),
        (
            {"overrides": [{"when": {"pruner": "snip"}, "pruning_batch": {"draws": 2}}]},
            {"snip", "run snip"},
        ),
        (
            {"overrides": [{"pretraining": {"batch_size": 9}}]},
            {"pretrained", "magnitude", "run dense", "run lottery", "run lr_rewinding"},
        ),
        ({"data_seed": 5}, {"labels"}),
    ],
)
def test_a_change_reaches_what_it_decides(tmp_path, changes, expected):
    assert changed(fingerprints(tmp_path), fingerprints(tmp_path, **changes)) == expected


def test_the_model_and_the_data_reach_everything_after_them(tmp_path):
    before = fingerprints(tmp_path)
    wider = fingerprints(tmp_path, models={"vgg5": {"width": 5}})
    assert changed(before, wider) == set(before) - {"data", "labels"}
    split = {"digits": {"kind": "digits", "test_fraction": 0.3}}
    assert changed(before, fingerprints(tmp_path, datasets=split)) == set(before)


def code_fingerprints(package):
    """The fingerprints that a copy of the package would give."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from jackpot.study.fingerprints import code_of\n"
        "for name in ('models.initial', 'training.pretrain', 'pruning.stage', 'training.retrain',"
        " 'pruning.scores.snip', 'pruning.scores.grasp'):\n"
        "    print(name, code_of('jackpot.' + name))\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program, str(package)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": ":".join(p for p in sys.path if "site-packages" in p)},
    )
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("pruning/prune.py", {"pruning.stage"}),
        ("pruning/scores/snip.py", {"pruning.scores.snip"}),
        ("training/engine.py", {"training.pretrain", "training.retrain"}),
        ("training/retrain.py", {"training.retrain"}),
        ("study/model.py", set()),
    ],
)
def test_code_counts_for_the_stages_that_use_it(tmp_path, file, expected):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    before = code_fingerprints(tmp_path)
    with open(tmp_path / "jackpot" / file, "a") as source:
        source.write("\n# a comment\n")
    assert code_fingerprints(tmp_path) == before
    with open(tmp_path / "jackpot" / file, "a") as source:
        source.write("\nMEANING = 42\n")
    assert changed(before, code_fingerprints(tmp_path)) == expected


def test_comments_docstrings_and_layout_do_not_count():
    one = 'def f(x):\n    """Say it."""\n    return (x +\n            1)  # why\n'
    two = "def f(x):\n    return x + 1\n"
    other = "def f(x):\n    return x + 2\n"
    assert _bare(ast.parse(one)) == _bare(ast.parse(two)) != _bare(ast.parse(other))


def test_the_fingerprint_in_a_file_can_be_read_back(tmp_path):
    import torch

    weights, metrics = tmp_path / "w.safetensors", tmp_path / "metrics.json"
    save_tensors(weights, {"w": torch.rand(3)}, {"fingerprint": "abc"})
    write_json(metrics, {"fingerprints": {"run": "def"}})
    assert (recorded(str(weights)), recorded(str(metrics))) == ("abc", "def")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:20])
    assert recorded(str(broken)) is None and recorded(str(tmp_path / "none.json")) is None
