"""Laying out a large study takes little memory; benchmarks/ has its seconds."""

import os

import pytest

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
