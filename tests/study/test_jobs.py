"""Fingerprints change with what decides a result and with nothing else."""

import json
import os
import re

import pytest
import yaml

from jackpot.errors import JackpotError
from jackpot.fingerprints import code_of_file
from jackpot.pruning.scores import SCORES
from jackpot.study import Plan, load_config, load_study
from jackpot.study.jobs import NOT_FINGERPRINTED, File, Job
from jackpot.study.model import Run
from jackpot.study.options import refuse_changed_study
from tests.support import ROOT
from tests.support.studies import SMALL, changed

TICKETS = ["dense", "snip", "lottery", "lr_rewinding", "lottery_iterative"]
RULES = ROOT / "workflow" / "rules"
# Options of scripts that are in no job's description, and why they need not be.
HOW_TO_RUN: dict[str, str] = {
    "out": "where the job's outputs go, which its paths say",
    "threads": "kept beside the result, as the device is: bits are promised for the same number",
    "resume-file": "where a killed training goes on from, to the same bits",
    "fingerprint": "the fingerprint itself",
}


def plan_of(tmp_path, **changes):
    experiments = [{"tickets": TICKETS, "sparsities": [0.9], "seeds": [0, 1]}]
    values = {**SMALL, "experiments": experiments, **changes}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    return Plan(load_study(path), load_config({}))


def fingerprints(tmp_path, **changes):
    plan = plan_of(tmp_path, **changes)
    cell = ("digits", "vgg5")
    jobs = {
        "data": plan.prepare("digits"),
        "labels": plan.corrupt("digits", "random_labels"),
        "initial": plan.initialise(*cell, 0),
        "pretrained": plan.pretrain(*cell, 0, "clean"),
        "snip": plan.prune(*cell, "snip", "clean", 0),
        "magnitude": plan.prune(*cell, "magnitude", "clean", 0),
        "iterative": plan.prune_iteratively(*cell, "magnitude_iterative", "clean", 0, 0.9),
        **{f"run {t}": plan.job_of(Run(*cell, t, "none", 0.9, 0)) for t in TICKETS},
    }
    return {name: job.fingerprint for name, job in jobs.items()}


TRAINED = {"pretrained", "magnitude", "iterative", "run dense", "run lottery", "run lr_rewinding"}


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
            {*TRAINED, "run lottery_iterative"},
        ),
        ({"data_seed": 5}, {"labels"}),
        (
            {"arithmetic": "portable"},
            {*TRAINED, "initial", "snip", "run snip", "run lottery_iterative"},
        ),
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


def every_job(tmp_path):
    """A job of every rule whose results carry a fingerprint, with its options as they are."""
    plan, cell = plan_of(tmp_path), ("digits", "vgg5")
    return [
        plan.download("digits"),
        plan.prepare("digits"),
        plan.corrupt("digits", "random_pixels"),
        plan.initialise(*cell, 0),
        plan.pretrain(*cell, 0, "clean"),
        plan.prune(*cell, "snip", "clean", 0),
        plan.prune_iteratively(*cell, "magnitude_iterative", "clean", 0, 0.9),
        plan.retrain(*cell, "lr_rewinding", "shuffled_weights", 0.9, 0),
    ]


def test_every_option_and_input_and_code_changes_the_fingerprint(tmp_path):
    for job in every_job(tmp_path):
        unlisted = dict.fromkeys(job.options, "other")
        for option in unlisted:
            other = Job(job.rule, job.outputs, job.inputs, {**job.options, option: "x"}, job.code)
            listed = option in NOT_FINGERPRINTED.get(job.rule, ())
            assert (other.fingerprint == job.fingerprint) == listed, (job.rule, option)
        for name, file in job.inputs.items():
            source = File(file.path, Job("other", (file.path,)))
            inputs = {**job.inputs, name: source}
            other = Job(job.rule, job.outputs, inputs, job.options, job.code)
            assert other.fingerprint != job.fingerprint, (job.rule, name)
        other = Job(job.rule, job.outputs, job.inputs, job.options, (*job.code, "more"))
        assert other.fingerprint != job.fingerprint


def test_a_command_line_has_only_what_its_job_describes(tmp_path):
    """Every option of a rule is an input or in ``options``, or in the list of how to run."""
    text = "\n".join(path.read_text() for path in RULES.glob("*.smk"))
    used = set()
    for job in every_job(tmp_path):
        command = re.search(rf'"run {job.rule} (.*?) > ', text, re.DOTALL).group(1)
        assert "{params.options}" in command or not job.options
        given = set(re.findall(r"--([a-z-]+)", command))
        assert given - set(HOW_TO_RUN) == set(job.inputs), job.rule
        used |= given
    assert set(HOW_TO_RUN) <= used


def test_a_path_says_nothing_of_images_that_a_digest_tells(tmp_path):
    def jobs(**definition):
        data = {"mine": {"kind": "image_folder", **definition}}
        plan = plan_of(tmp_path, datasets=data)
        return plan.source("mine"), plan.prepare("mine").fingerprint

    digest = "0" * 64
    here, there = jobs(path="a", sha256=digest), jobs(path="b", sha256=digest)
    assert here[1] == there[1], "the same images, wherever they come from"
    assert here[0] != there[0], "another place is looked at again"
    one, other = jobs(path="a"), jobs(path="b")
    assert one[0] != other[0] and one[1] != other[1]


def test_a_folder_that_is_not_mounted_changes_no_fingerprint(tmp_path):
    folder, archive = tmp_path / "cifar10", tmp_path / "cifar-10-python.tar.gz"

    def prepared(path):
        data = {"cifar10": {"kind": "cifar10", **({"path": str(path)} if path else {})}}
        return plan_of(tmp_path, datasets=data).prepare("cifar10").fingerprint

    gone = {path: prepared(path) for path in (folder, archive)}
    folder.mkdir()
    archive.write_text("")
    assert {path: prepared(path) for path in gone} == gone
    assert gone[archive] == prepared(None) != gone[folder], "only a folder may hold other images"


def test_images_that_are_gone_are_missed_where_they_are_to_be_read(tmp_path):
    """They are read twice: when their digest is taken, and when tensors are made of them."""
    mine = {"kind": "image_folder", "path": str(tmp_path / "gone")}
    plan = plan_of(tmp_path, datasets={"mine": mine})
    plan.require_sources({plan.data("mine", "random_pixels")})
    for wanted in (plan.source("mine"), plan.data("mine", "clean")):
        with pytest.raises(JackpotError, match=r"dataset mine: .*gone does not exist"):
            plan.require_sources({wanted})


def test_the_same_relative_path_elsewhere_is_another_source(tmp_path, monkeypatch):
    datasets = {"d": {"kind": "image_folder", "path": "images"}}
    experiments = [{"tickets": ["random"], "sparsities": [0.9], "seeds": [0]}]
    study = plan_of(tmp_path, datasets=datasets, experiments=experiments).study
    shared, own = (load_config({"data_dir": data}) for data in (str(tmp_path / "data"), "data"))
    for config, number in ((shared, 2), (own, 1)):
        records = set()
        for name in ("one", "two"):
            (tmp_path / name).mkdir(exist_ok=True)
            monkeypatch.chdir(tmp_path / name)
            records.add(Plan(study, config).source("d"))
        # A project that is moved or copied as a whole keeps its record.
        assert len(records) == number


def test_the_users_files_are_told_to_the_jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("def score(model, data, generator):\n    return {}\n")
    (tmp_path / "more.py").write_text("def mask(mask, generator):\n    return mask\n")
    plan = plan_of(
        tmp_path,
        pruners={"mine": {"score": "mine.py:score"}},
        tickets={"mine": {"pruner": "mine"}},
        checks={"more": "more.py"},
    )
    assert sorted(map(os.path.basename, plan.own_code())) == ["mine.py", "more.py"]
    monkeypatch.setenv("JACKPOT_OWN_CODE", json.dumps(plan.own_code()))
    assert callable(SCORES["mine.py:score"])
    refuse_changed_study(plan)
    (tmp_path / "mine.py").write_text("def score(model, data, generator):\n    return {1: 2}\n")
    code_of_file.cache_clear()
    with pytest.raises(JackpotError, match=r"mine\.py was edited while Snakemake was at work"):
        SCORES["mine.py:score"]
    with pytest.raises(JackpotError, match=r"mine\.py: was changed while Snakemake was at work"):
        refuse_changed_study(plan)


def test_a_link_to_a_users_file_is_no_edit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "other.py").write_text(
        "def score(model, data, generator):\n    return {}\n"
    )
    (tmp_path / "mine.py").symlink_to("real/other.py")
    tickets = {
        "pruners": {"mine": {"score": "mine.py:score"}},
        "tickets": {"mine": {"pruner": "mine"}},
    }
    monkeypatch.setenv("JACKPOT_OWN_CODE", json.dumps(plan_of(tmp_path, **tickets).own_code()))
    assert callable(SCORES["mine.py:score"])


def test_a_study_may_lie_where_snakemake_runs(tmp_path):
    plan = plan_of(tmp_path)
    plan = Plan(plan.study, load_config({"results_dir": ".", "data_dir": "."}))
    assert plan.root == plan.study.name and not plan.source("digits").startswith("./")
