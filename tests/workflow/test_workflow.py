"""The workflow as its users run it: real Snakemake, real scripts, in a copy of the project."""

import json
import os
import random
import re
import shutil
import time

import pytest
import yaml

from jackpot.vocabulary import SOURCE_OF_FIGURE
from tests.support import ROOT, snake

pytestmark = pytest.mark.workflow

PARTS = ("Snakefile", "config.yaml", "workflow", "profiles", "studies", "envs")
STUDY = {
    **snake.STUDY,
    "experiments": [
        {"tickets": ["dense", "random"], "sparsities": [0.5, 0.9], "seeds": [0, 1]},
        {
            "tickets": ["snip", "weight_rewinding"],
            "checks": ["corrupted_data", "rearranged"],
            "sparsities": [0.5, 0.9],
            "seeds": [0, 1],
        },
    ],
}
CELL = "results/small/runs/digits/vgg5/snip/rearranged/sparsity0.9/seed1/metrics.json"


def copy_project(folder):
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / part)
    (folder / "studies" / "small.yaml").write_text(yaml.safe_dump(STUDY))
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("studies/digits.yaml", "studies/small.yaml"))
    return folder


def snakemake(folder, *arguments, check=True):
    """What a call of Snakemake in a copied project says."""
    environment = {**os.environ, "PYTHONPATH": str(folder / "workflow" / "lib")}
    options = ["--cores", 2, "--scheduler", "greedy", *arguments]
    if check:
        return snake.succeed(folder, *options, environment=environment)
    status, text = snake.call(folder, *options, environment=environment)
    assert status == 1, text
    return text


def planned(text):
    """Jobs by rule, from Snakemake's table of job stats."""
    table = re.search(r"^job +count\n[- ]+\n(.*?)^total", text, re.M | re.S)
    rows = re.findall(r"^(\w+) +(\d+)$", table[1], re.M) if table else []
    return {rule: int(count) for rule, count in rows if rule != "all"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose small study has run once."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    snakemake(folder)
    return folder


def scratch(project, tmp_path):
    """A copy of the project and its results, with Snakemake's memory and the time stamps."""
    shutil.copytree(project, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def test_the_study_runs_to_its_report(project):
    results = project / "results" / "small"
    runs = (results / "runs.csv").read_text().splitlines()
    # dense 2, random 2 x 2, and three checks of two tickets at 2 x 2 cells.
    assert len(runs) - 1 == 2 + 4 + 2 * 3 * 4
    assert runs[0] == (
        "study,dataset,model,ticket,check,sparsity,seed,test_accuracy,test_loss,"
        "best_test_accuracy,density,collapsed,epochs,seconds,images_per_second,device,precision,"
        "effective_density,chance_accuracy,test_images"
    )
    assert (
        (results / "verdicts.csv")
        .read_text()
        .startswith(
            "dataset,model,ticket,check,sparsity,n,mean_difference,ci95_low,ci95_high,ci90_low,"
            "ci90_high,p_difference,p_equivalence,p_difference_holm,p_equivalence_holm,margin,verdict"
        )
    )
    page = (results / "report.html").read_text()
    assert "weight rewinding" in page and "data:image" in page
    for figure in SOURCE_OF_FIGURE:
        for kind in ("svg", "pdf", "png"):
            assert (results / "figures" / f"{figure}.{kind}").stat().st_size > 1000
    assert {p.stem for p in (results / "tables").iterdir()} == {
        *("initial", "random", "partially_trained", "dense", "verdicts"),
    }
    metrics = json.loads((project / CELL).read_text())
    assert metrics["ticket"] == "snip" and metrics["check"] == "rearranged"
    assert metrics["epochs"] == 2 and metrics["density"] == pytest.approx(0.1, abs=1e-3)


def test_exact_densities_and_layer_counts_under_the_checks(project):
    runs = project / "results" / "small" / "runs" / "digits" / "vgg5"
    for ticket in ("snip", "weight_rewinding"):
        for seed in (0, 1):
            cell = f"sparsity0.9/seed{seed}/metrics.json"
            plain = json.loads((runs / ticket / "none" / cell).read_text())
            moved = json.loads((runs / ticket / "rearranged" / cell).read_text())
            total = sum(layer["total"] for layer in plain["layers"])
            assert sum(layer["kept"] for layer in plain["layers"]) == round(0.1 * total)
            kept = [[layer["kept"] for layer in run["layers"]] for run in (moved, plain)]
            assert kept[0] == kept[1]
            assert moved["weights_sha256"] != plain["weights_sha256"]


def test_a_second_run_has_nothing_to_do(project):
    assert "Nothing to be done" in snakemake(project, "-n")


def test_deleting_one_figure_redoes_it_and_the_page(project, tmp_path):
    folder = scratch(project, tmp_path)
    (folder / "results" / "small" / "figures" / "tickets.png").unlink()
    assert planned(snakemake(folder, "-n")) == {"draw_tickets": 1, "report": 1}


@pytest.mark.parametrize("name", ["runs.csv", "about.json", "histories.csv", "verdicts.csv"])
def test_deleting_one_table_redoes_it(project, tmp_path, name):
    folder = scratch(project, tmp_path)
    (folder / "results" / "small" / name).unlink()
    jobs = planned(snakemake(folder, "-n"))
    assert ("verdicts" if name == "verdicts.csv" else "collect") in jobs and "report" in jobs


def test_deleting_one_result_redoes_it_and_what_is_made_of_it(project, tmp_path):
    folder = scratch(project, tmp_path)
    (folder / CELL).unlink()
    jobs = planned(snakemake(folder, "-n"))
    assert jobs.pop("retrain") == 1
    drawn = {f"draw_{figure}" for figure in SOURCE_OF_FIGURE}
    assert set(jobs) == {"collect", "verdicts", "tables", "report"} | drawn


def test_editing_the_pruning_code_redoes_pruning_and_no_pretraining(project, tmp_path):
    folder = scratch(project, tmp_path)
    lib = folder / "workflow" / "lib" / "jackpot" / "pruning"
    with open(lib / "make_masks.py", "a") as file:
        file.write("\n# A comment changes nothing.\n")
    assert "Nothing to be done" in snakemake(folder, "-n")
    with open(lib / "make_masks.py", "a") as file:
        file.write("\nCHANGED = True\n")
    jobs = planned(snakemake(folder, "-n"))
    assert not {"pretrain", "initialise", "prepare", "corrupt", "dense"} & set(jobs)
    # random 2 seeds; snip and magnitude on clean and corrupted data.
    assert jobs["prune"] == 2 + 2 * 2 * 2
    assert jobs["retrain"] == 4 + 2 * 3 * 4
    assert jobs["report"] == 1


def test_editing_one_score_redoes_its_own_masks_only(project, tmp_path):
    folder = scratch(project, tmp_path)
    with open(folder / "workflow/lib/jackpot/pruning/scores/snip.py", "a") as file:
        file.write("\nCHANGED = True\n")
    jobs = planned(snakemake(folder, "-n"))
    assert (jobs["prune"], jobs["retrain"]) == (4, 12)


def test_editing_the_code_of_figures_draws_them_and_makes_the_page(project, tmp_path):
    folder = scratch(project, tmp_path)
    with open(folder / "workflow/lib/jackpot/report/panels.py", "a") as file:
        file.write("\nCHANGED = True\n")
    jobs = planned(snakemake(folder, "-n"))
    assert jobs.keys() == {*(f"draw_{figure}" for figure in SOURCE_OF_FIGURE), "report"}


def test_editing_the_statistics_makes_what_shows_verdicts(project, tmp_path):
    folder = scratch(project, tmp_path)
    with open(folder / "workflow/lib/jackpot/analysis/statistics.py", "a") as file:
        file.write("\nCHANGED = True\n")
    jobs = planned(snakemake(folder, "-n"))
    assert jobs.keys() == {"verdicts", "draw_verdicts", "tables", "report"}


@pytest.fixture
def copied(project, tmp_path):
    """Another clone with the project's results at arbitrary times, and no memory of Snakemake's."""
    folder = copy_project(tmp_path)
    shutil.copytree(project / "results", folder / "results")
    shutil.copytree(project / "data", folder / "data")
    draws, now = random.Random(0), time.time()
    for path in sorted((folder / "results").rglob("*")):
        stamp = now - draws.uniform(0, 1e6)
        os.utime(path, (stamp, stamp))
    return folder


def test_copied_results_without_snakemakes_memory_are_not_redone(copied):
    assert "Nothing to be done" in snakemake(copied, "-n")


def test_copied_results_that_other_code_made_do_not_pass_for_todays(copied):
    with open(copied / "workflow/lib/jackpot/pruning/scores/snip.py", "a") as file:
        file.write("\nCHANGED = True\n")
    jobs = planned(snakemake(copied, "-n"))
    assert (jobs["prune"], jobs["retrain"], jobs["collect"], jobs["report"]) == (4, 12, 1, 1)
    assert not {"pretrain", "initialise", "prepare"} & set(jobs)
    snakemake(copied)
    assert "Nothing to be done" in snakemake(copied, "-n"), snakemake(copied, "-n")[-6000:]


def test_a_copied_page_that_other_code_made_does_not_pass_for_todays(copied):
    with open(copied / "workflow/lib/jackpot/analysis/statistics.py", "a") as file:
        file.write("\nCHANGED = True\n")
    jobs = planned(snakemake(copied, "-n"))
    assert {"collect", "verdicts", "tables", "report", "draw_verdicts"} <= set(jobs)
    assert not {"pretrain", "initialise", "prune", "retrain"} & set(jobs)


def test_one_cell_runs_what_it_needs_and_nothing_else(tmp_path):
    folder = copy_project(tmp_path)
    jobs = planned(snakemake(folder, "-n", CELL))
    expected = {"download": 1, "prepare": 1, "initialise": 1, "prune": 1, "retrain": 1}
    assert jobs == expected
    snakemake(folder, CELL)
    assert (folder / CELL).exists()
    assert len(list((folder / "results" / "small" / "runs").rglob("metrics.json"))) == 1


def test_figures_come_from_runs_csv_alone_and_train_nothing(project, tmp_path):
    folder = copy_project(tmp_path)
    results = folder / "results" / "small"
    results.mkdir(parents=True)
    shutil.copy(project / "results" / "small" / "runs.csv", results)
    jobs = planned(snakemake(folder, "-n", "figures"))
    drawn = {f"draw_{figure}": 1 for figure in ("verdicts", "sanity_checks", "tickets")}
    assert jobs == {**drawn, "verdicts": 1, "figures": 1, "tables": 1}
    snakemake(folder, "figures")
    assert (results / "figures" / "sanity_checks.svg").exists()
    assert (results / "tables" / "initial.csv").exists()
    assert not (results / "runs").exists() and not (results / "weights").exists()


def test_snakemakes_own_report_has_the_figures_and_their_captions(project, tmp_path):
    folder = scratch(project, tmp_path)
    snakemake(folder, "--report", "snakemake-report.html")
    page = (folder / "snakemake-report.html").read_text()
    for words in (
        "sanity checks",
        "layer densities",
        "verdict of every check",
        "partially trained",
    ):
        assert words in page
    assert "a panel per ticket, a point per check" in page


def test_a_partial_study_reports_what_is_missing(project, tmp_path):
    folder = scratch(project, tmp_path)
    shutil.rmtree((folder / CELL).parent)
    snakemake(folder, "--config", "partial=true")
    page = (folder / "results" / "small" / "report.html").read_text()
    assert re.search(rf"snakemake --cores [^<]* {CELL}", page)


@pytest.mark.parametrize(
    ("study", "config", "expected"),
    [
        ({"sparsitys": 1}, [], r"small.yaml: unknown key 'sparsitys'"),
        (
            {"datasets": {"digits": {"kind": "mnist"}}},
            [],
            r"datasets.digits.kind: .*'mnist' does not exist. .*digits",
        ),
        ({}, ["study=studies/none.yaml"], r"no such study. YAML files there: .*digits.yaml"),
        ({}, ["thread=1"], r"unknown key 'thread'. Did you mean 'threads'"),
    ],
)
def test_bad_input_is_refused_before_any_job(tmp_path, study, config, expected):
    folder = copy_project(tmp_path)
    (folder / "studies" / "small.yaml").write_text(yaml.safe_dump({**STUDY, **study}))
    text = snakemake(folder, *(["--config", *config] if config else []), check=False)
    assert re.search(expected, text)
    assert "Traceback" not in text and "] Job " not in text
    assert not (folder / "results").exists()


def test_an_archive_with_a_wrong_digest_ends_in_a_message(tmp_path):
    folder = copy_project(tmp_path)
    (folder / "images.tar").write_bytes(b"not what was meant")
    source = {"kind": "image_folder", "path": "images.tar", "sha256": "0" * 64}
    config = json.dumps({"digits": source})
    text = snakemake(folder, "--show-failed-logs", "--config", f"datasets={config}", check=False)
    assert "images.tar is not the file expected" in text and "Traceback" not in text


def test_a_score_of_ones_own_needs_one_file(tmp_path):
    folder = copy_project(tmp_path)
    (folder / "mine.py").write_text(
        "USES_DATA = False\n\n"
        "def inverse(model, data, generator):\n"
        "    from jackpot.models import prunable\n"
        "    return {n: -w.detach().abs() for n, w in prunable(model).items()}\n"
    )
    study = {
        **STUDY,
        "pruners": {"inverse": {"score": "mine.py:inverse", "allocation": "smart"}},
        "tickets": {"inverse": {"pruner": "inverse"}},
        "experiments": [
            {"tickets": ["inverse"], "checks": "all", "sparsities": [0.9], "seeds": [0]}
        ],
    }
    (folder / "studies" / "small.yaml").write_text(yaml.safe_dump(study))
    snakemake(folder)
    checks = {p.name for p in (folder / "results/small/runs/digits/vgg5/inverse").iterdir()}
    assert checks == {
        *("none", "rearranged", "inverted", "shuffled_weights", "reinitialized"),
        *("redrawn_magnitudes", "redrawn_signs"),
    }
    with open(folder / "mine.py", "a") as file:
        file.write("\nCHANGED = 1\n")
    jobs = planned(snakemake(folder, "-n"))
    assert (jobs["prune"], jobs["retrain"]) == (2, len(checks)) and "pretrain" not in jobs
