"""What is written agrees with what is there."""

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from jackpot.architectures import architecture_names
from jackpot.models import build_model
from jackpot.study import document, load_config, load_study
from tests.support import ROOT
from tests.support.pages import readme_study, write_files

STUDIES = sorted((ROOT / "studies").glob("*.yaml"))

BIN = Path(sys.executable).parent


def test_the_study_page_and_schema_are_those_of_the_code():
    hint = "run: python -m jackpot.study.document docs"
    assert (ROOT / "docs" / "study.md").read_text() == document.markdown(), hint
    assert (ROOT / "docs" / "study.schema.json").read_text() == document.schema(), hint


def test_config_yaml_gives_the_defaults_and_names_every_key():
    values = yaml.safe_load((ROOT / "config.yaml").read_text())
    # Requests to a cluster are the one thing that config.yaml decides and the code does not.
    same = {key: value for key, value in values.items() if key != "resources"}
    assert load_config(same) == load_config({})
    assert set(values) == set(type(load_config({})).model_fields)


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.name)
def test_every_study_loads_and_is_named_as_its_file(path):
    study = load_study(path)
    assert study.name == path.stem
    assert study.runs()


def test_every_architecture_that_a_study_may_name_can_be_built():
    import torch

    for name in architecture_names():
        with torch.device("meta"):
            build_model(name)


def test_links_and_commands_of_the_readme_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert link.startswith("http") or (ROOT / link).exists(), link
    for word in re.findall(r"`((?:studies|docs|workflow|envs|benchmarks)/[^`*<> ]+)`", text):
        assert (ROOT / word).exists(), word
    for target in re.findall(r"^make (\w+)", text, re.M):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), target


def test_the_study_of_the_readme_loads_beside_its_pruner(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    name, text = readme_study()
    (tmp_path / name).write_text(text)
    assert f"snakemake --cores all --config study={name}\n" in (ROOT / "README.md").read_text()
    study = load_study(name)
    assert study.name == Path(name).stem
    of_weights = {"shuffled_weights", "reinitialized", "redrawn_magnitudes", "redrawn_signs"}
    blind = {"none", "rearranged", "inverted", *of_weights}
    seeing = blind | {"random_labels", "random_pixels", "corrupted_data"}
    checks = [("random", check) for check in blind] + [("gradient_norm", check) for check in seeing]
    cells = {(*check, sparsity) for check in checks for sparsity in (0.8, 0.9)}
    expected = {(*cell, seed) for cell in cells | {("dense", "none", 0.0)} for seed in range(5)}
    found = [(run.ticket, run.check, run.sparsity, run.seed) for run in study.runs()]
    assert len(found) == len(expected) and set(found) == expected
    assert {(run.dataset, run.model) for run in study.runs()} == {("digits", "vgg5")}
    # As the default study trains.
    assert study.training == load_study(ROOT / "studies" / "digits.yaml").training


def test_versions_agree():
    import jackpot

    project = (ROOT / "pyproject.toml").read_text()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert f'version = "{jackpot.__version__}"' in project
    assert citation["version"] == jackpot.__version__
    assert f"## {jackpot.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_locks_pin_every_dependency():
    project = (ROOT / "pyproject.toml").read_text()
    wanted = set(re.findall(r'"([a-z][a-z0-9_-]*)>=', project)) - {"setuptools"}
    for lock in ("requirements-cpu.txt", "requirements-cuda.txt"):
        lines = (ROOT / "envs" / lock).read_text().splitlines()
        pinned = {re.split(r"===?", line)[0].lower().replace("_", "-") for line in lines}
        assert wanted <= pinned, (lock, wanted - pinned)
        assert all("==" in line for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["snakefmt", "--check", "Snakefile", "workflow/rules"],
        pytest.param(["snakemake", "--lint"], marks=pytest.mark.workflow),
    ],
    ids=" ".join,
)
def test_the_code_is_clean(command):
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_the_schema_takes_every_study_and_no_other_key(study):
    """As an editor checks it while it is written."""
    schema, values = json.loads(document.schema()), yaml.safe_load(study.read_text())
    jsonschema.validate(values, schema)
    with pytest.raises(jsonschema.ValidationError, match="nonsense"):
        jsonschema.validate({**values, "nonsense": 1}, schema)
