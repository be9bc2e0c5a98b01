"""Where each number came from: same bits again, what is not today's, and runs that diverged."""

import json
import shutil

import pandas as pd
import pytest
import yaml

from jackpot.files.atomic import sha256_of_file, write_sealed
from jackpot.fingerprints import code_of, differences, recorded
from jackpot.study import Plan, load_config, load_study, read_config
from jackpot.study.stale import findings
from tests.support.snake import Clone

STUDY = {
    "experiments": [
        {"tickets": ["dense", "snip"], "checks": ["rearranged"], "sparsities": [0.8], "seeds": [0]}
    ]
}
TIMES = ["seconds", "images_per_second"]
TABLES = ("runs.csv", "histories.csv", "layers.csv", "verdicts.csv")


@pytest.fixture
def study(small_study):
    return small_study


def test_two_directories_one_or_two_cores_forks_or_not_give_the_same_tables(tmp_path, study):
    other = Clone(tmp_path / "two", study=STUDY)
    other.make(*TABLES, cores=2)
    for name in TABLES:
        one, two = (pd.read_csv(c.root / name, dtype=str) for c in (study, other))
        columns = [column for column in one if column not in TIMES]
        assert list(one) == list(two) and len(one)
        pd.testing.assert_frame_equal(one[columns], two[columns], check_exact=True)
    files = [p.relative_to(study.root) for p in study.root.rglob("*.safetensors")]
    assert len(files) > 3
    for path in files:
        assert (study.root / path).read_bytes() == (other.root / path).read_bytes()
    # Each job in a process of its own: one cell will do.
    run = study.run_of("snip", "rearranged")
    ordinary = Clone(tmp_path / "three", study=STUDY, warm_processes=False)
    ordinary.make(f"{run}/metrics.json", cores=2)
    assert ordinary.history(run) == study.history(run)
    one, two = ordinary.metrics(run), study.metrics(run)
    assert one["weights_sha256"] == two["weights_sha256"]
    for metrics in (one, two):
        metrics["fingerprints"].pop("history")  # which holds seconds
        metrics["fingerprints"].pop("study")  # whose settings say how its jobs run
    assert one["fingerprints"] == two["fingerprints"]


def test_a_result_says_what_it_was_made_from(study):
    run = study.run_of("snip", "rearranged")
    found = study.metrics(run)["fingerprints"]
    todays = load_study(study.folder / "study.yaml")
    plan = Plan(todays, load_config({}))
    mine = next(r for r in todays.runs() if r.path == run)
    files = {
        "clean": "data/digits/clean.safetensors",
        "weights": "weights/digits/vgg5/seed0/init.safetensors",
        "mask": "masks/digits/vgg5/snip/clean/seed0/sparsity0.8.safetensors",
    }
    assert found["inputs"] == {k: sha256_of_file(study.root / v) for k, v in files.items()}
    assert found["code"] == code_of("jackpot.stages.retrain")
    assert found["study"] == plan.study_digest and found["run"] == plan.job_of(mine).fingerprint
    assert found["history"] == sha256_of_file(study.root / run / "history.csv")
    assert len(found["environment"]) == 64
    dense = study.metrics(study.run_of("dense", sparsity="0"))["fingerprints"]
    assert dense["environment"] == found["environment"]
    assert dense["code"] == code_of("jackpot.stages.pretrain") != found["code"]


def test_another_seed_in_the_study_is_no_other_run(study, tmp_path):
    before = Plan(load_study(study.folder / "study.yaml"), load_config({}))
    values = yaml.safe_load((study.folder / "study.yaml").read_text())
    values["experiments"][0]["seeds"] = [0, 1]
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(values))
    after = Plan(load_study(tmp_path / "s.yaml"), load_config({}))
    assert before.study_digest != after.study_digest
    for run in before.study.runs():
        assert before.job_of(run).fingerprint == after.job_of(run).fingerprint


REPORTED = {"about.json": "tables, figures and page are of the study as it was before"}


def listed(clone):
    recorded.cache_clear()
    config = read_config(clone.folder / "config.yaml")
    plan = Plan(load_study(clone.folder / "study.yaml"), config)
    return {f.path.removeprefix(f"{clone.root}/"): f.why for f in findings(plan)}


def test_what_is_not_todays_is_listed_with_its_reason(tmp_path, study):
    """In a clone without Snakemake's metadata."""
    shutil.copytree(study.results, tmp_path / "results")
    clone = Clone(tmp_path / "clone", results=tmp_path / "results", study=STUDY)
    assert listed(clone) == {}
    snip, spoiled = clone.run_of("snip"), clone.run_of("snip", "rearranged")

    override = {"when": {"ticket": "snip"}, "retraining": {"batch_size": 9}}
    clone = Clone(
        tmp_path / "settings", results=clone.results, study={**STUDY, "overrides": [override]}
    )
    settings = {f"{run}/metrics.json": "other settings" for run in (snip, spoiled)}
    assert listed(clone) == settings | REPORTED

    override = {"when": {"pruner": "snip"}, "pruning_batch": {"draws": 2}}
    clone = Clone(tmp_path / "in", results=clone.results, study={**STUDY, "overrides": [override]})
    found = listed(clone)
    assert found.pop("masks/digits/vgg5/snip/clean/seed0/sparsity0.8.safetensors") == (
        "other settings"
    )
    inputs = "made from files of other code or settings"
    assert found == {f"{run}/metrics.json": inputs for run in (snip, spoiled)} | REPORTED

    fewer = [{"tickets": ["dense", "snip"], "sparsities": [0.8], "seeds": [0]}]
    clone = Clone(tmp_path / "fewer", results=clone.results, study={"experiments": fewer})
    assert listed(clone) == {f"{spoiled}/metrics.json": "not part of the study today"} | REPORTED

    clone = Clone(tmp_path / "again", results=clone.results, study=STUDY)
    path = clone.root / snip / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics.pop("sha256")
    metrics["fingerprints"]["code"] = "edited while it ran"
    write_sealed(path, metrics)
    assert listed(clone) == {f"{snip}/metrics.json": "other code of its stage"}
    path.write_text(path.read_text().replace('"test_accuracy": ', '"test_accuracy": 1'))
    assert "damaged or altered" in listed(clone)[f"{snip}/metrics.json"]
    status, text = clone.script("stale")
    assert status == 1 and text.startswith(f"{path}: damaged or altered")


def test_a_fingerprint_tells_what_differs():
    assert differences("a-b-c", "a-b-c") == []
    assert differences("a-b-c", "x-b-y") == ["code", "inputs"]
    assert differences("", "a-b-c") == ["code", "settings", "inputs"]


def test_verify_makes_runs_again_and_finds_the_one_that_was_altered(tmp_path, study):
    shutil.copytree(study.results, tmp_path / "results")
    clone = Clone(tmp_path / "c", results=tmp_path / "results", study=STUDY, data=tmp_path / "d")
    run = clone.run_of("snip", "rearranged")
    path = clone.root / run / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics.pop("sha256")
    # By someone who knows how to seal a file.
    metrics |= {"test_accuracy": 99.0, "device": "another machine"}
    write_sealed(path, metrics)
    # Another configuration's settings take the place of config.yaml's: nothing is added to them.
    config = clone.folder / "config.yaml"
    config.rename(clone.folder / "mine.yaml")
    config.write_text("datasets: {digits: {kind: nonsense}}")
    sample = ("--sample", 9, "--sample-seed", 1, "--cores", 2)
    status, text = clone.script("verify", "--config", "mine.yaml", *sample)
    lines = text.splitlines()
    assert status == 1 and "2 of 3 runs are the same (--sample-seed 1)" in lines
    assert f"same       {clone.run_of('snip')}" in lines
    different = next(line for line in lines if line.startswith("different"))
    assert run in different and "test_accuracy" in different and "another machine" in different


@pytest.mark.workflow
def test_runs_that_diverge_are_shown_as_such_and_the_study_goes_on(tmp_path):
    """Tickets of a network whose pretraining diverged, and one that diverges by itself."""
    wild = {"learning_rate": 1.0e30}
    study = {
        "models": {"vgg5": {"width": 4}, "bad": {"architecture": "vgg5", "width": 4}},
        "overrides": [
            {"when": {"model": "bad"}, "pretraining": wild},
            {"when": {"ticket": "snip", "model": "vgg5"}, "retraining": wild},
        ],
        "experiments": [
            {
                "tickets": ["dense", "snip", "lottery", "weight_rewinding"],
                "checks": ["rearranged"],
                "sparsities": [0.8],
                "seeds": [0],
            }
        ],
    }
    clone = Clone(tmp_path, study=study)
    text = clone.make("report.html", "tables/initial.md", "figures/tickets.png", cores=2)
    assert "Traceback" not in text
    runs = pd.read_csv(clone.root / "runs.csv")
    diverged = {(r.model, r.ticket) for r in runs.itertuples() if pd.isna(r.test_accuracy)}
    assert diverged == {
        ("vgg5", "snip"), ("bad", "dense"), ("bad", "lottery"), ("bad", "weight_rewinding")
    }  # fmt: skip
    assert len(runs) == 14 and runs["test_accuracy"].notna().sum() == 7
    metrics = clone.metrics(clone.run_of("lottery", model="bad"))
    assert metrics["diverged"] and metrics["test_accuracy"] is None and metrics["epochs"] == 0
    assert clone.metrics(clone.run_of("snip"))["epochs"] == 1
    verdicts = pd.read_csv(clone.root / "verdicts.csv")
    lost = verdicts[(verdicts.model == "bad") & (verdicts.ticket == "lottery")]
    assert set(lost["verdict"]) == {"too_few_seeds"} and set(lost["n"]) == {0}
    assert "diverged" in (clone.root / "tables" / "initial.md").read_text()
    assert "diverged" in (clone.root / "report.html").read_text()
