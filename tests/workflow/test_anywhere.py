"""The workflow from elsewhere: another folder, another workflow, odd paths, a read-only clone."""

import csv
import os
import re
import shutil

import pytest
import yaml

from tests.support import ROOT, snake

pytestmark = pytest.mark.workflow

PARTS = ("Snakefile", "config.yaml", "workflow", "envs", "profiles", "studies")
EXPERIMENT = {"tickets": ["dense", "snip"], "sparsities": [0.8], "seeds": [0]}
STUDY = yaml.safe_dump({**snake.STUDY, "experiments": [EXPERIMENT]})


def clone_at(folder):
    """The workflow's files, as git would have them."""
    folder.mkdir(parents=True)
    for part in PARTS:
        if (ROOT / part).is_dir():
            no = shutil.ignore_patterns("__pycache__", "*.egg-info", ".snakemake")
            shutil.copytree(ROOT / part, folder / part, ignore=no)
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


def call(folder, *arguments, status=0):
    """Snakemake started in a folder, without a word of where jackpot is."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    found, text = snake.call(folder, "--cores", 1, *arguments, environment=environment)
    assert found == status, text[-4000:]
    return text


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def files_of(folder):
    """All but what Python itself keeps where it may write."""
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone that nobody may write to; its path has a space, accents and more."""
    folder = clone_at(tmp_path_factory.mktemp("anywhere") / "Étude n° 1 $(touch x)" / "jackpot")
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)
    before = files_of(folder)
    yield folder
    # root may write anywhere, so what is there is compared.
    assert files_of(folder) == before
    for path in [folder, *folder.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)


def test_results_elsewhere_of_a_clone_that_is_read_only_and_oddly_named(clone, tmp_path):
    """``--directory``: config.yaml and studies of that folder, code of the clone."""
    place = tmp_path / "mes résultats"
    place.mkdir()
    (place / "study.yaml").write_text(STUDY)
    arguments = ["--snakefile", clone / "Snakefile", "--directory", place]
    (place / "config.yaml").write_text("study: study.yaml\n")
    call(tmp_path, *arguments)
    found = rows(place / "results" / "small" / "runs.csv")
    assert [row["ticket"] for row in found] == ["dense", "snip"]
    assert (place / "results" / "small" / "report.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mes résultats"]
    text = call(tmp_path, *arguments, "-n")
    assert "Nothing to be done" in text


def test_a_folder_without_settings_of_its_own_has_those_of_the_clone(clone, tmp_path):
    """``--directory`` and nothing else: what is made lies there, and the default study is ours."""
    text = call(clone, "--directory", tmp_path, "-n")
    assert re.search(r"^digits: look 1 of 3", text, re.MULTILINE)
    text = call(
        tmp_path, "--snakefile", clone / "Snakefile", "-n", "results/zoo/runs.csv", status=1
    )
    assert "results/zoo/runs.csv" in text and "Traceback" not in text
    zoo = ("--config", "study=studies/zoo.yaml")
    text = call(tmp_path, "--snakefile", clone / "Snakefile", "-n", *zoo)
    assert re.search(r"^zoo: look 1 of 3", text, re.MULTILINE)
    # Its own come first.
    (tmp_path / "config.yaml").write_text("study: study.yaml\n")
    (tmp_path / "study.yaml").write_text(STUDY)
    text = call(clone, "--directory", tmp_path, "-n")
    assert "digits" not in text.split("Building DAG")[0] and re.search(r"^retrain +1$", text, re.M)


def test_a_module_without_a_config_has_the_clones_and_one_with_a_prefix_is_refused(clone, tmp_path):
    def bare(text):
        text = re.sub(r"^    config: .*\n", "", text, flags=re.MULTILINE)
        return text.replace("out/jackpot/small", "results/digits")

    # The outer workflow's own is none of ours.
    (tmp_path / "config.yaml").write_text("samples: [a, b]\n")
    snake.write_outer(tmp_path, clone, STUDY, bare)
    assert re.search(r"^digits: look 1 of 3", call(tmp_path, "-n"), re.MULTILINE)

    def with_prefix(text):
        return text.replace("    config:", '    prefix: "sub"\n    config:')

    snake.write_outer(tmp_path, clone, STUDY, with_prefix)
    text = call(tmp_path, "-n", status=1)
    assert "a module of jackpot takes no prefix" in text and "Traceback" not in text


def test_another_workflow_adds_a_rule_on_our_runs(clone, tmp_path):
    """``module:`` with its own settings; the outer rule reads the table that ours makes."""
    snake.write_outer(tmp_path, clone, STUDY)
    text = call(tmp_path)
    # As of `localrules:`, which does not know a rule's new name.
    assert "not present in the Snakefile" not in text
    assert (tmp_path / "out" / "count.txt").read_text().strip() == "3"
    assert len(rows(tmp_path / "out" / "jackpot" / "small" / "runs.csv")) == 2
    call(tmp_path, "jackpot_all")
    assert (tmp_path / "out" / "jackpot" / "small" / "report.html").exists()


def test_another_workflows_rule_of_the_name_figures_is_not_ours(clone, tmp_path):
    """Ours beside a runs.csv draws from it alone, and would leave out what makes the table."""
    snake.write_outer(
        tmp_path, clone, STUDY, lambda text: text.replace("rule count", "rule figures")
    )
    call(tmp_path)
    changed = yaml.safe_load(STUDY)
    changed["training"]["learning_rate"] = 0.05
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(changed))
    text = call(tmp_path, "-n", "figures")
    assert re.search(r"^jackpot_collect +1$", text, re.MULTILINE), text[-4000:]


def test_another_workflow_has_one_study_of_ours(clone, tmp_path):
    """The jobs of both would be told of the later one."""

    def two(text):
        module, _, rest = text.partition("rule count")
        second = module.replace("jackpot:", "again:").replace(
            "jackpot as jackpot", "again as again"
        )
        return module + second.replace("study.yaml", "second.yaml") + "rule count" + rest

    snake.write_outer(tmp_path, clone, STUDY, two)
    (tmp_path / "second.yaml").write_text(STUDY.replace("name: small", "name: second"))
    text = call(tmp_path, "-n", status=1)
    said = "second: this Snakefile has the study small as a module already, and a call of"
    assert said in text and "Traceback" not in text
    # Snakemake reads a module anew for each `use rule`.
    change = "\nuse rule report from jackpot as jackpot_report with:\n    priority: 2\n"
    snake.write_outer(tmp_path, clone, STUDY, lambda text: text + change)
    call(tmp_path, "-n")


# As in docs/interoperation.md.
HANDLERS = """
onstart:
    jackpot.onstart()

onsuccess:
    jackpot.onsuccess()

onerror:
    jackpot.onerror()
"""


def test_another_workflow_waits_for_every_look(clone, tmp_path):
    cell = {"tickets": ["snip"], "checks": ["rearranged"], "sparsities": [0.8], "seeds": [0, 1, 2]}
    # With two seeds nothing is decided at this level.
    looks = {"margin": 60, "alpha": 0.002, "looks": [2, 3]}
    study = {**snake.STUDY, "experiments": [cell], "statistics": looks}
    made = 'small/runs.csv"'
    snake.write_outer(
        tmp_path,
        clone,
        yaml.safe_dump(study),
        lambda text: text.replace(made, f"{made}, rules.jackpot_all.input") + HANDLERS,
    )
    text = call(tmp_path)
    assert (tmp_path / "out" / "count.txt").read_text().strip() == "7", text[-4000:]
    assert HANDLERS in (ROOT / "docs" / "interoperation.md").read_text()


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("mnist/vgg5/snip/none/sparsity0.8/seed0", "dataset mnist"),
        ("digits/vgg7/snip/none/sparsity0.8/seed0", "model vgg7"),
        ("digits/vgg5/snap/none/sparsity0.8/seed0", "ticket snap"),
        ("digits/vgg5/snip/rearanged/sparsity0.8/seed0", "check rearanged"),
        ("digits/vgg5/snip/none/sparsity0.7/seed0", "sparsity 0.7"),
        ("digits/vgg5/snip/none/sparsity0.8/seed3", "seed 3"),
    ],
)
def test_a_cell_that_is_not_of_the_study_ends_in_a_sentence(clone, tmp_path, cell, said):
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "config.yaml").write_text("study: study.yaml\n")
    target = f"results/small/runs/{cell}/metrics.json"
    text = call(tmp_path, "-s", clone / "Snakefile", "-d", tmp_path, target, status=1)
    assert "Traceback" not in text
    (sentence,) = [line for line in text.splitlines() if "not in the study" in line]
    assert said in sentence and "study.yaml" in sentence
