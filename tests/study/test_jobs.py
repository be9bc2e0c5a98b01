"""Fingerprints change with what decides a result and with nothing else."""

import ast
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import jackpot.fingerprints
from jackpot.errors import JackpotError
from jackpot.files.atomic import write_json
from jackpot.files.tensors import save_tensors
from jackpot.fingerprints import _dump, _not_python, bare, code_of, code_of_file, recorded
from jackpot.pruning.scores import SCORES
from jackpot.study import Plan, load_config, load_study
from jackpot.study.jobs import NOT_FINGERPRINTED, File, Job
from jackpot.study.model import Run
from jackpot.study.options import refuse_changed_study
from tests.support import PACKAGE, ROOT
from tests.support.studies import SMALL

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


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


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


STAGES = ("pretrain", "prune", "prune_iteratively", "retrain", "corrupt", "report")
METHODS = ("checks.random_labels", "checks.rearranged", "pruning.scores.snip")
HASHED = ("models.initial", *METHODS, *(f"stages.{stage}" for stage in STAGES))


def code_fingerprints(folder):
    """The fingerprints of the package as it stands in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jackpot.fingerprints, "PACKAGE", folder / "jackpot")
        patch.setattr(jackpot.fingerprints, "_not_python", _not_python.__wrapped__)
        return {name: code_of.__wrapped__(f"jackpot.{name}") for name in HASHED}


@pytest.fixture(scope="module")
def before():
    """Those of the package as it is."""
    return code_fingerprints(PACKAGE.parent)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("pruning/make_masks.py", {"stages.prune", "stages.prune_iteratively"}),
        ("pruning/scores/snip.py", {"pruning.scores.snip"}),
        ("training/engine.py", {"stages.pretrain", "stages.retrain", "stages.prune_iteratively"}),
        ("stages/retrain.py", {"stages.retrain"}),
        ("study/model.py", set()),
        ("running/alone.py", set()),
        ("checks/rearranged.py", {"checks.rearranged"}),
        ("analysis/claims.py", {"stages.report"}),
    ],
)
def test_code_counts_for_the_stages_that_use_it(before, tmp_path, file, expected):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    with open(tmp_path / "jackpot" / file, "a") as source:
        source.write("\n# a comment\n")
    assert code_fingerprints(tmp_path) == before
    with open(tmp_path / "jackpot" / file, "a") as source:
        source.write("\nMEANING = 42\n")
    assert changed(before, code_fingerprints(tmp_path)) == expected


def test_what_lies_beside_the_code_counts_only_if_it_decides_something(before, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    for folder in ("training", "pruning/scores", "report/templates"):
        for name in (".engine.py.swp", "engine.py~", ".DS_Store", "#engine.py#", ".page.css.swp"):
            (tmp_path / "jackpot" / folder / name).write_text("an editor's")
        cache = tmp_path / "jackpot" / folder / "__pycache__"
        cache.mkdir(exist_ok=True)
        (cache / "engine.cpython-311.pyc.139812").write_text("half written")
    assert code_fingerprints(tmp_path) == before
    with open(tmp_path / "jackpot" / "report/templates/page.css", "a") as file:
        file.write("p { color: red }\n")
    assert changed(before, code_fingerprints(tmp_path)) == {"stages.report"}


def test_every_file_beside_the_code_is_of_a_kind_that_counts():
    listed = subprocess.run(
        ["git", "ls-files", "."], cwd=PACKAGE, capture_output=True, text=True, check=True
    )
    suffixes = {Path(name).suffix for name in listed.stdout.splitlines()}
    assert suffixes == {".py", *jackpot.fingerprints.DATA_FILES}


TRAININGS = {"stages.pretrain", "stages.retrain", "stages.prune_iteratively"}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        # Words: what a job prints, what an error says, what a check asks, docstrings.
        ("training/results.py", " epochs in ", " epochs, which took ", set()),
        ("training/resume.py", "belongs to other settings, data or code", "is of another", set()),
        ("training/engine.py", "goes on at epoch", "continues with epoch", set()),
        ("training/engine.py", "The state of one training", "One training's state", set()),
        ("pruning/allocation/__init__.py", "whole numbers, one a layer", "integers", set()),
        ("pruning/scores/__init__.py", "must return a dictionary", "gives a mapping", set()),
        ("data/files.py", "a dataset needs two or more distinct", "there are too few", set()),
        ("stages/prune.py", "there is nothing to rank", "nothing can be ranked", set()),
        ("checks/rearranged.py", "Does it matter which", "Is it of weight which", set()),
        # Arithmetic, each at its own stage.
        ("training/sgd.py", "alpha=-lr", "alpha=-2 * lr", TRAININGS),
        ("training/schedule.py", "(1 - (epoch", "(2 - (epoch", TRAININGS),
        ("pruning/scores/snip.py", ".abs()", ".square()", {"pruning.scores.snip"}),
        ("pruning/batch.py", "labels", "marks", {"stages.prune", "stages.prune_iteratively"}),
        ("checks/rearranged.py", "keep.numel()", "len(keep)", {"checks.rearranged"}),
        ("stages/retrain.py", "fresh = partial", "drawn = partial", {"stages.retrain"}),
    ],
)
def test_rewording_redoes_nothing_and_other_arithmetic_its_own_stage(
    before, tmp_path, file, old, new, expected
):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    source = tmp_path / "jackpot" / file
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    assert changed(before, code_fingerprints(tmp_path)) == expected


@pytest.mark.parametrize(
    "file",
    ["report/templates/page.css", "report/templates/page.html.j2", "analysis/data/reported.csv"],
)
def test_the_page_is_made_anew_when_what_it_shows_changes(before, tmp_path, file):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    with open(tmp_path / "jackpot" / file, "a") as source:
        source.write(" ")
    assert changed(before, code_fingerprints(tmp_path)) == {"stages.report"}


def test_a_new_check_or_score_leaves_the_others_alone(before, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    new = tmp_path / "jackpot" / "checks" / "mirrored.py"
    new.write_text('QUESTION = "Upside down?"\n\n\ndef mask(mask, generator):\n    return mask\n')
    score = tmp_path / "jackpot" / "pruning" / "scores" / "depth.py"
    score.write_text("USES_DATA = False\n\n\ndef depth(model, data, generator):\n    return {}\n")
    assert code_fingerprints(tmp_path) == before


@pytest.mark.parametrize(
    ("one", "two", "other"),
    [
        (
            'QUESTION = "Why?"\ndef f(x):\n    print("one")\n    raise JackpotError(f"{x}?")\n',
            'QUESTION = "Why, then?"\ndef f(x):\n    print(x)\n    raise JackpotError("wrong")\n',
            'QUESTION = "Why?"\ndef f(x):\n    print("one")\n    raise ValueError("wrong")\n',
        ),
        (
            'def f(x):\n    """Say it."""\n    return (x +\n            1)  # why\n',
            "def f(x):\n    return x + 1\n",
            "def f(x):\n    return x + 2\n",
        ),
    ],
    ids=["words for people", "comments, docstrings and layout"],
)
def test_what_decides_no_number_does_not_count(one, two, other):
    assert bare(ast.parse(one)) == bare(ast.parse(two)) != bare(ast.parse(other))


EVERY_KIND = """
from a import b as c
@wrapped(1, *xs, key=None, **more)
class One(Base, meta=int):
    x: int = 1
    def f(self, /, a, b=2, *args, c, d=None, **kw) -> list[str] | None:
        if (n := len(a)) > 1 and not b or a is None:
            yield [i for i in a if i], {**kw, 1: -2.5}, {1, 2}, b"x", 1j, ..., True
        elif a[1:2, ::3] <= b != c:
            return f"{a!r:>{b}} {{}} {c:.2f}" "two" or (lambda y, *z: y @ z ** 2)
        try:
            async_, (d, *e) = await_, (1, *a)
            a.b[0] += 1
        except (ValueError, TypeError) as error:
            raise X from error
        else:
            del a
        finally:
            global g
            assert a, "b"
        while True:
            break
        for k in a:
            continue
        with open(a) as h, i:
            pass
        match a:
            case [1, *rest] | {"k": v, **other} if v:
                pass
            case One(x=1) | None | _:
                pass
async def main():
    async with a: await b
"""


def test_the_same_code_has_one_fingerprint_on_every_python():
    """Found by Python 3.11; ast.dump of 3.12 and 3.13 says something else of nearly all code."""
    text = bare(ast.parse(EVERY_KIND), sentences=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "fbff34106549d8fc"
    if sys.version_info[:2] == (3, 11):
        for file in PACKAGE.rglob("*.py"):
            tree = ast.parse(file.read_text())
            assert _dump(tree) == ast.dump(tree)


@pytest.mark.parametrize("how", ["from mine.helper import C", "from .helper import C"])
def test_what_a_package_imports_of_itself_belongs_to_it(tmp_path, how):
    package = tmp_path / "mine"
    package.mkdir()
    for name, text in (("__init__", ""), ("score", how), ("helper", "C = 1"), ("other", "C = 1")):
        (package / f"{name}.py").write_text(f"{text}\n")
    before = code_of_file(str(package / "score.py"))
    (package / "other.py").write_text("C = 2\n")
    code_of_file.cache_clear()
    assert code_of_file(str(package / "score.py")) == before
    (package / "helper.py").write_text("C = 2\n")
    code_of_file.cache_clear()
    assert code_of_file(str(package / "score.py")) != before


@pytest.mark.parametrize(
    "line", ["x = ScaledError(sign={})", "x = damaged(w, 0.{})", "raise ValueError({})"]
)
def test_nothing_in_a_users_call_is_taken_for_words(tmp_path, line):
    """``MeanSquaredError`` may be a loss, and ``damaged`` a check's helper."""
    found = set()
    for number in (1, 2):
        path = tmp_path / f"own{number}.py"
        path.write_text(f"def f(w):\n    {line.format(number)}\n")
        found.add(code_of_file(str(path)))
    assert len(found) == 2


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


def test_the_fingerprint_in_a_file_can_be_read_back(tmp_path):
    import torch

    weights, metrics = tmp_path / "w.safetensors", tmp_path / "metrics.json"
    save_tensors(weights, {"w": torch.rand(3)}, {"fingerprint": "abc"})
    write_json(metrics, {"fingerprints": {"run": "def"}})
    assert (recorded(str(weights)), recorded(str(metrics))) == ("abc", "def")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:20])
    assert recorded(str(broken)) is None and recorded(str(tmp_path / "none.json")) is None
