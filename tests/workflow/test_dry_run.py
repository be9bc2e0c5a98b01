"""What is laid out, and that it takes little memory; benchmarks/ has its seconds."""

import os

import pytest

from jackpot.study import Plan, load_config, load_study
from tests.support import ROOT, snake

pytestmark = pytest.mark.workflow
STUDY = """
name: large
datasets: {digits: {kind: digits}}
models: {vgg5: {width: 4}, resnet8: {width: 4}}
training: {epochs: 2}
rewind_epoch: 1
experiments:
  - tickets: [dense, snip, grasp, synflow, random, lottery, weight_rewinding, lr_rewinding, hybrid]
    checks: all
    sparsities: [0.5, 0.8, 0.9, 0.95]
    seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
"""


def test_a_study_of_a_name_with_braces_is_laid_out(tmp_path):
    study = "s {t} é.yaml"
    (tmp_path / study).write_text(STUDY.replace("[0.5, 0.8, 0.9, 0.95]", "[0.5]"))
    for name in ("workflow", "envs", "config.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    options = ["--snakefile", ROOT / "Snakefile", "-n", "--quiet", "rules"]
    snake.succeed(tmp_path, *options, "--config", f"study={study}", "results_dir=results")


def test_rules_make_what_the_description_says(tmp_path):
    """The rules in workflow/rules state their outputs once more, as patterns."""
    tickets = ["dense", "snip", "lottery_iterative", "weight_rewinding"]
    checks = ["corrupted_data", "inverted", "rearranged"]
    cells = {"sparsities": [0.5, 0.8], "seeds": [0, 1]}
    experiments = [{"tickets": tickets, **cells}, {"tickets": ["snip"], "checks": checks, **cells}]
    clone = snake.Clone(tmp_path, study={"experiments": experiments})
    rows = [line.split("\t") for line in clone.make(options=["--summary"]).splitlines()]
    laid_out = {(row[2], row[0]) for row in rows if len(row) > 2}
    config = {"results_dir": str(clone.results), "data_dir": str(tmp_path / "data")}
    plan = Plan(load_study(tmp_path / "study.yaml"), load_config(config))
    jobs = {plan.job_of(run) for run in plan.study.runs()}
    while more := {file.job for job in jobs for file in job.inputs.values()} - jobs:
        jobs |= more
    described = {(job.rule, path) for job in jobs for path in job.outputs}
    rules = {rule for rule, _ in described}
    assert {(rule, path) for rule, path in laid_out if rule in rules} == described
    assert len(rules) == 9, "one of each is among them"


def test_a_dry_run_of_five_thousand_jobs_takes_little_memory(tmp_path):
    (tmp_path / "large.yaml").write_text(STUDY)
    for name in ("workflow", "envs", "config.yaml"):
        (tmp_path / name).symlink_to(ROOT / name)
    options = ["--snakefile", ROOT / "Snakefile", "-n", "--quiet", "rules"]
    config = ["study=large.yaml", "results_dir=results", "data_dir=data"]
    with open(tmp_path / "said", "w") as said:
        process = snake.start(tmp_path, *options, "--config", *config, output=said)
        _, status, usage = os.wait4(process.pid, 0)
    text = (tmp_path / "said").read_text()
    assert status == 0, text[-3000:]
    total = next(line for line in text.splitlines() if line.startswith("total "))
    assert int(total.split()[1]) > 5000
    # In KiB.
    assert usage.ru_maxrss < 1_000_000
