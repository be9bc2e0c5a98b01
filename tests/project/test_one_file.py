"""In a scratch copy, one file adds a score, an allocation, a check, a kind of dataset or a model.

Each is then seen in ``--help``, the docs' tables, a figure's legend and the report's page.
"""

import json
import shutil
import subprocess
import sys

import pytest

from tests.support import ROOT

FILES = {
    "pruning/scores/antiquity.py": (
        '"""Old weights first."""\n\nUSES_DATA = False\n\n\n'
        "def antiquity(model, data, generator, *, years=3):\n    return {}\n"
    ),
    "pruning/allocation/hourglass.py": (
        '"""Narrow in the middle."""\n\n\n'
        "def hourglass(layer_sizes, density, *, waist=0.1):\n    return []\n"
    ),
    "checks/upended_mask.py": (
        '"""Upside down."""\n\nQUESTION = "Which way is up?"\n\n\n'
        "def mask(mask, generator):\n    return mask\n"
    ),
    "data/kinds/stamps.py": (
        '"""Postage stamps."""\n\n\ndef read(source, *, perforated=True):\n    return None\n'
    ),
    "models/lenet.py": (
        '"""LeNet-5."""\n\nfrom torch import nn\n\n\n'
        "def lenet(num_classes, in_channels, image_size, *, wide=False):\n"
        "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))\n"
    ),
}
PROGRAM = """
import json, sys
import pandas as pd
import jackpot
from jackpot.models import build_model
from jackpot.report import accuracy, figures
from jackpot.report.page import write_report
from jackpot.report.style import draw_and_save
from jackpot.study import document
from jackpot.study.load import load_study

study = load_study(sys.argv[2])
runs = pd.DataFrame(
    [
        {**vars(run), "test_accuracy": 60.0 + run.seed, "study": "s", "density": 1 - run.sparsity}
        for run in study.runs()
    ]
)
legends = []
lay_out = accuracy.lay_out
accuracy.lay_out = lambda blocks, handles, *more, **options: (
    legends.extend(h.get_label() for h in handles), lay_out(blocks, handles, *more, **options)
)[1]
drawn = draw_and_save(figures.sanity_checks, runs, sys.argv[1] + "/a")
drawn += draw_and_save(figures.tickets, runs, sys.argv[1] + "/b")
from jackpot.analysis.statistics import verdicts
write_report(
    sys.argv[1] + "/report.html", runs=runs, verdicts=verdicts(runs, 0.5, 0.05), figures=drawn
)
print(json.dumps({
    "where": jackpot.__file__,
    "docs": document.markdown(),
    "legends": legends,
    "page": open(sys.argv[1] + "/report.html").read(),
    "built": type(build_model("lenet", 3, 1, 8)).__name__,
}))
"""
STUDY = """
name: scratch
datasets: {mail: {kind: stamps, path: album, options: {perforated: false}}}
models: {lenet: {options: {wide: true}}}
pruners:
  antiquity: {score: antiquity, score_options: {years: 5}, allocation: hourglass}
tickets: {antiquity: {pruner: antiquity}}
experiments: [{tickets: [antiquity], checks: [upended_mask], sparsities: [0.5, 0.9], seeds: [0, 1]}]
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the library and the scripts with the files added, and nothing else changed."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    for name, text in FILES.items():
        (folder / "workflow" / "lib" / "jackpot" / name).write_text(text)
    (folder / "study.yaml").write_text(STUDY)
    return folder


def python(copy, *arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env={"PYTHONPATH": str(copy / "workflow" / "lib"), "HOME": str(copy), "COLUMNS": "200"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def seen(copy):
    return json.loads(python(copy, "-c", PROGRAM, str(copy), "study.yaml").splitlines()[-1])


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("prune", "antiquity"),
        ("prune", "hourglass"),
        ("retrain", "upended_mask"),
        ("download", "stamps"),
        ("initialise", "lenet"),
    ],
)
def test_help_names_it(copy, script, name):
    assert name in python(copy, f"workflow/scripts/{script}.py", "--help")


def test_the_docs_have_a_row_for_each(seen, copy):
    assert seen["where"].startswith(str(copy))
    for row in (
        "| `antiquity` | `years: 3` | Old weights first. |",
        "| `hourglass` | `waist: 0.1` | Narrow in the middle. |",
        "| `upended_mask` | mask | Which way is up? |",
        "| `stamps` | `perforated: true` | Postage stamps. |",
        "| `lenet` | `wide: false` | LeNet-5. |",
    ):
        assert row in seen["docs"]


def test_legends_and_page_name_it(seen):
    assert {"upended mask", "antiquity"} <= set(seen["legends"])
    for word in ("upended mask", "antiquity", "mail", "lenet", "spoils: mask<"):
        assert word in seen["page"]


def test_a_model_can_be_built(seen):
    assert seen["built"] == "Sequential"
