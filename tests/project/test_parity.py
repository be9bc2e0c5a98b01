"""Every command of docs/parity.md runs: at one epoch, on a small set, with the real scripts."""

import csv
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from jackpot.settings import Training
from tests.support import ROOT
from tests.support.reduced import image_folder, reduced, snakemake
from tests.support.scripts import succeed
from tests.support.small import make_data
from tests.support.synthetic import make_study

PAGE = ROOT / "docs" / "parity.md"
TARGET = re.compile(r"`snakemake -c1 --config study=studies/(\w+).yaml -- results/\1/(\S+)`")
SCRIPT = re.compile(r"`python (workflow/scripts/\w+\.py) ([^`]*)`")


def rows(test):
    """The cells of every row of the page whose last column is ``test``."""
    lines = PAGE.read_text().splitlines()
    split = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    return [cells for cells in split if cells[-1] == test]


def targets():
    """Study -> the files, below its results, that the page's rows ask for."""
    found = {}
    for cells in rows("cells"):
        study, target = TARGET.fullmatch(cells[-2]).groups()
        found.setdefault(study, set()).add(target)
    return found


def test_every_row_of_the_page_is_run():
    lines = PAGE.read_text().split("## What has no counterpart")[0].splitlines()
    body = [line for line in lines if line.startswith("|") and not line.startswith("|---")]
    tested = len(rows("cells")) + len(rows("scripts"))
    headings = [line for line in body if line.endswith("| test |")]
    assert len(body) == tested + len(headings)
    assert len(rows("cells")) > 150 and len(rows("scripts")) > 90
    assert set(targets()) == {"mlrc2020", "su2020", "grasp2020"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return image_folder(tmp_path_factory.mktemp("images"))


@pytest.mark.workflow
@pytest.mark.parametrize("study", ["mlrc2020", "su2020", "grasp2020"])
def test_cells(study, images, tmp_path):
    wanted = targets()[study]
    results = tmp_path / "results" / study
    path = reduced(study, tmp_path)
    snakemake(path, images, tmp_path, "--", *(results / target for target in sorted(wanted)))
    for target in wanted:
        metrics = json.loads((results / target).read_text())
        _, dataset, model, ticket, check, sparsity, seed, _ = target.split("/")
        assert [metrics[key] for key in ("dataset", "model", "ticket", "check")] == [
            *(dataset, model, ticket, check)
        ]
        assert (f"sparsity{metrics['sparsity']:g}", f"seed{metrics['seed']}") == (sparsity, seed)
        assert metrics["epochs"] == 1
    if yaml.safe_load(path.read_text()).get("logging"):
        for target in wanted:
            assert list((results / target).parent.glob("tensorboard/events.*")), target


@pytest.fixture(scope="module")
def files(tmp_path_factory, warm):
    """What the words in capitals stand for, made by the real scripts."""
    folder = tmp_path_factory.mktemp("p")
    clean, out = folder / "clean.safetensors", folder / "pre"
    make_data(clean, train=128, channels=3)
    known = {
        "CLEAN": clean,
        "INIT": folder / "init.safetensors",
        "TRAINED": out / "trained.safetensors",
        "MASK": out / "sparsity0.6.safetensors",
        "RUNS": folder / "runs.csv",
        "STUDY": ROOT / "studies" / "digits.yaml",
        "SOURCE": folder / "data" / "digits" / "source.json",
    }
    make_study().runs.to_csv(known["RUNS"], index=False)
    made, digits = ("--data", clean, "--weights", known["INIT"], "--out", out), ("--kind", "digits")
    for command in (
        ("initialise", "--data", clean, "--out", known["INIT"], *NARROW),
        ("pretrain", "--clean", clean, *made, "--epochs", 1),
        ("prune", *made, "--score", "random", "--sparsities", 0.6),
        ("download", "--dataset", "digits", *digits, "--out", known["SOURCE"]),
    ):
        succeed(*command, environment=warm)
    return known


NARROW = ("--architecture", "vgg5", "--width", 4)


def test_scripts(files, warm, tmp_path):
    for number, cells in enumerate(rows("scripts")):
        out = tmp_path / str(number)
        out.mkdir()
        script, options = SCRIPT.fullmatch(cells[-2]).groups()
        arguments = placed(shlex.split(options), {**files, "OUT": out})
        if Path(script).stem in ("pretrain", "retrain") and "--epochs" not in arguments:
            arguments += ["--epochs", "1"]
        succeed(script, *arguments, environment=warm)
        for made in re.findall(r"`OUT/([^`]+)`", " ".join(cells[1:-2])):
            assert (out / made).exists(), cells
        assert any(out.iterdir()), cells
        if (out / "metrics.json").exists():
            agrees(out, arguments)


def placed(words, known):
    """The words of a command, with files in the place of those in capitals."""
    return [re.sub(r"^([A-Z]+)\b", lambda found: str(known[found[1]]), word) for word in words]


def agrees(out, arguments):
    """What the command asked for is what metrics.json and history.csv say was done."""
    metrics = json.loads((out / "metrics.json").read_text())
    given = {}
    for word in arguments:
        if word.startswith("--"):
            given[name := word[2:].replace("-", "_")] = []
        else:
            given[name].append(word)
    settings = Training.model_fields
    for name, words in given.items():
        value = metrics["settings"][name] if name in settings else metrics.get(name)
        if isinstance(value, list):
            assert value == [float(word) for word in words]
        elif words and value is not None and name != "epochs":
            assert str(value) == words[0] or float(value) == float(words[0])
    with open(out / "history.csv") as file:
        first = next(csv.DictReader(file))
    assert int(first["epoch"]) == int(given.get("first_epoch", [0])[0]) + 1
