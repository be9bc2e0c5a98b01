"""A study is checked before anything runs, and its errors name file, key and allowed values."""

import io
import itertools
import random
import re

import pandas as pd
import pytest

from jackpot.checks import CHECKS
from jackpot.errors import JackpotError
from jackpot.study import Plan, load_config, load_study
from jackpot.study.tickets import PRUNERS, TICKETS, applicable_checks
from tests.support import ROOT
from tests.support.studies import SMALL, message, written

DIGITS = ROOT / "studies" / "digits.yaml"


def test_runs_are_the_product_of_an_experiment():
    study = load_study(DIGITS)
    runs = study.runs()
    assert len(runs) == len(set(runs))
    by_hand = set()
    for e in study.experiments:
        for model in e.models or study.models:
            for ticket in e.tickets:
                for check, sparsity, seed in itertools.product(
                    {"none", *e.checks}, e.sparsities, e.seeds or study.seed_order
                ):
                    cell = ("none", 0.0) if ticket == "dense" else (check, sparsity)
                    by_hand.add((model, ticket, *cell, seed))
    assert by_hand == {(r.model, r.ticket, r.check, r.sparsity, r.seed) for r in runs}


def test_the_zoo_has_every_pruner_under_every_check_that_applies():
    study = load_study(ROOT / "studies" / "zoo.yaml")
    ran = {(r.ticket, r.check) for r in study.runs()}
    assert {study.all_tickets[ticket].pruner for ticket, _ in ran} - {None} == set(PRUNERS)
    assert {ticket for ticket, _ in ran} == set(TICKETS)
    for name, ticket in TICKETS.items():
        allowed = applicable_checks(ticket, study.pruner_of(name), CHECKS)
        assert {check for ticket, check in ran if ticket == name} == set(allowed)


def test_which_of_the_newer_checks_apply():
    def checks(name):
        return applicable_checks(TICKETS[name], PRUNERS[TICKETS[name].pruner], CHECKS)

    for name in set(TICKETS) - {"dense"}:
        assert {"redrawn_magnitudes", "redrawn_signs"} <= set(checks(name))
        # Where training comes between cuts there is no one ranking to turn round.
        assert ("inverted" in checks(name)) == (name != "lottery_iterative")
    assert "random_labels" in checks("force") and "random_labels" not in checks("ntk_sap")
    # The positions are random, but the counts are SNIP's.
    assert "random_labels" in checks("random_snip")
    assert "random_labels" not in checks("random_balanced")


def test_default_study_covers_every_ticket_and_check():
    runs = load_study(DIGITS).runs()
    tickets = """dense random random_uniform snip grasp synflow lottery weight_rewinding
        lr_rewinding hybrid"""
    checks = """none random_labels random_pixels corrupted_data half_dataset rearranged
        shuffled_weights reinitialized"""
    assert {r.ticket for r in runs} >= set(tickets.split())
    assert {r.check for r in runs} == set(checks.split())
    assert len({r.seed for r in runs}) >= 3
    assert len({r.sparsity for r in runs if r.sparsity}) >= 2


def test_checks_apply_where_there_is_something_to_spoil():
    runs = load_study(DIGITS).runs()
    checks = {t: {r.check for r in runs if r.ticket == t} for t in {r.ticket for r in runs}}
    data = {"random_labels", "random_pixels", "corrupted_data"}
    assert not checks["synflow"] & (data | {"half_dataset"})
    assert checks["snip"] >= data and "half_dataset" not in checks["snip"]
    assert checks["lr_rewinding"] >= data | {"half_dataset"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trainning": {}}, r"unknown key 'trainning'. Did you mean 'training'\? Allowed keys"),
        ({"training": {"epoch": 3}}, r"training: unknown key 'epoch'. Did you mean 'epochs'"),
        ({"training": {"epochs": 0}}, r"training.epochs: .*greater than or equal to 1 \(got 0\)"),
        ({"training": {"precision": "fp8"}}, r"training.precision: .*'float32' or 'bfloat16'"),
        ({"training": {"learning_rate": "fast"}}, r"training.learning_rate: .*valid number"),
        (
            {"datasets": {"x": {"kind": "imagenet"}}},
            r"datasets.x.kind: .*'imagenet' does not exist. Did you mean 'tiny_imagenet'\?",
        ),
        ({"datasets": {"x": {"kind": "image_folder"}}}, r"needs a path or a url"),
        (
            {"datasets": {"digits": {"kind": "digits", "options": {"test_fraction": 1.5}}}},
            r"datasets.digits: options: test_fraction is a key beside `options`; give it there",
        ),
        (
            {"models": {"vgg5": {"width": 4, "options": {"width": 8}}}},
            r"models: vgg5: options: width is a key beside `options`; give it there",
        ),
        (
            {"models": {"vgg18": {}}},
            r"models: vgg18: architecture 'vgg18' does not exist. Did you .* Allowed: .*vgg19",
        ),
        ({"name": "a/b"}, r"name: "),
        ({"experiments": []}, r"experiments: .*at least 1"),
        (
            {"tickets": {"dense": {"pruner": "snip"}}},
            "tickets.dense: dense is a built-in ticket; choose another name",
        ),
        (
            {"tickets": {"SNIP": {"pruner": "grasp"}}},
            "tickets.SNIP: would read 'SNIP' in tables and figures, as the built-in snip does",
        ),
        (
            {"pruners": {"snip": {"score": "magnitude"}}},
            "pruners.snip: the built-in pruner of this name ranks initial weights by snip",
        ),
        (
            {"tickets": {"mine": {"pruner": "snap"}}},
            r"pruner 'snap' does not exist. Did you mean 'snip'\? Allowed: .*snip",
        ),
        (
            {"pruners": {"mine": {"score": "snap"}}},
            r"score 'snap' does not exist. Did you mean 'snip'\? Allowed: .*snip",
        ),
        ({"pruners": {"mine": {"score": "no.py:f"}}}, r"there is no file no.py"),
        ({"models": {"020": {"architecture": "vgg5"}}}, "'020' would be read as a number"),
        ({"datasets": {"NA": {"kind": "digits"}}}, "'NA' would be read as a number, or as nothing"),
        ({"checks": {"nan": "mine.py:f"}}, "'nan' would be read as a number, or as nothing"),
        ({"checks": {"a-b": "mine.py:f"}}, "checks.a-b.*should match pattern"),
        (
            {"experiments": [{"tickets": ["dense"], "checks": ["rearangd"], "seeds": [0]}]},
            r"check 'rearangd' does not exist. Did you mean 'rearranged'\?",
        ),
        (
            {"tickets": {"mine": {"pruner": None, "weights": "trained"}}},
            "tickets.mine: pruner: null is the pretrained network itself",
        ),
        (
            {"check_options": {"random_pixels": {"scope": "cols"}}},
            r"check_options: .*known: image, rows",
        ),
        ({"check_options": {"shuffled": {"scope": "kept"}}}, r"check 'shuffled' does not exist"),
        ({"rewind_epoch": -1}, r"rewind_epoch"),
        (
            {"overrides": [{"when": {"ticket": "snip"}, "pretraining": {"epochs": 2}}]},
            r"pretraining is shared by all tickets",
        ),
        ({"overrides": [{"when": {"ticket": "snap"}}]}, r"overrides\[0\].when.ticket: .*'snap'"),
    ],
)
def test_bad_studies_name_the_key_and_what_is_allowed(tmp_path, changes, expected):
    assert re.search(expected, message(tmp_path, **changes))


@pytest.mark.parametrize(
    ("experiment", "expected"),
    [
        ({"sparsities": [1.2]}, r"experiments\[0\].sparsities\[0\]: .*less than 1 \(got 1.2\)"),
        ({"sparsities": [80]}, r"less than 1 \(got 80\); give a fraction: 0.8 for 80 %$"),
        ({"sparsities": 0.8}, r"experiments\[0\].sparsities: .*list \(got 0.8\); write \[0.8\]$"),
        ({"seeds": 5}, r"experiments\[0\].seeds: .*valid list \(got 5\); write \[5\]$"),
        ({"tickets": "snip"}, r"experiments\[0\].tickets: .*; write \[snip\]$"),
        ({"sparsities": []}, r"ticket 'snip' needs at least one sparsity"),
        ({"sparsities": [0.12345678]}, r"more than six digits"),
        ({"tickets": ["snap"]}, r"\[0\].tickets: ticket 'snap' does not .* mean 'snip'\? Allowed"),
        ({"tickets": ["x"]}, r"experiments\[0\].tickets: ticket 'x' does not exist. Allowed"),
        ({"models": ["vgg19"]}, r"model 'vgg19' does .* mean 'vgg5'\? Allowed: vgg5"),
        ({"checks": ["half_dataset"]}, r"'half_dataset' does not apply to ticket 'snip'.*Allowed"),
        ({"checks": ["rearrange"]}, r"check 'rearrange' does .* mean 'rearranged'\? Allowed"),
        (
            {"checks": "rearranged"},
            r"experiments\[0\].checks: give a list, \[rearranged\], or all$",
        ),
        ({"seeds": [-1]}, r"experiments\[0\].seeds\[0\]"),
        ({"seeds": [0, 1, 1]}, r"experiments\[0\].seeds: seed 1 is given twice$"),
        ({"tickets": ["snip", "snip"]}, r"experiments\[0\].tickets: ticket snip is given twice$"),
        ({"sparsities": [0.9, 0.90]}, r"\[0\].sparsities: sparsity 0.9 is given twice$"),
        ({"checks": ["rearranged", "rearranged"]}, r"\[0\].checks: check rearranged is given tw"),
        (
            {"checks": ["random_labels+rearranged", ["rearranged", "random_labels"]]},
            r"checks: check rearranged\+random_labels is given twice$",
        ),
        ({"seeds": []}, r"experiments\[0\].seeds"),
    ],
)
def test_bad_experiments_name_the_key_and_what_is_allowed(tmp_path, experiment, expected):
    experiment = {"tickets": ["snip"], "sparsities": [0.9], "seeds": [0], **experiment}
    assert re.search(expected, message(tmp_path, experiments=[experiment]))


@pytest.mark.parametrize("name", ["1_000", "na", "none", "Na", "v2"])
def test_a_name_that_tables_keep_is_taken(tmp_path, name):
    study = load_study(written(tmp_path, name="2020", models={name: {"architecture": "vgg5"}}))
    table = pd.read_csv(io.StringIO(f"model\n{next(iter(study.models))}\n"))
    assert table["model"].tolist() == [name]


def test_rewinding_must_be_before_the_end(tmp_path):
    experiment = {"tickets": ["weight_rewinding"], "sparsities": [0.9], "seeds": [0]}
    text = message(tmp_path, experiments=[experiment], rewind_epoch=4)
    assert "rewind_epoch: 4" in text and "0 to 3" in text


def test_rewinding_leaves_something_to_retrain(tmp_path):
    """The schedule that it goes on with is retraining's, which may be the shorter one."""
    experiment = {"tickets": ["lr_rewinding"], "sparsities": [0.9], "seeds": [0]}
    shorter = {"when": {"ticket": "lr_rewinding"}, "retraining": {"epochs": 3}}
    study = {"experiments": [experiment], "overrides": [shorter]}
    assert "rewind_epoch: 3 leaves none of the 3 epochs" in message(
        tmp_path, **study, rewind_epoch=3
    )
    for changes in ({"rewind_epoch": 2}, {"rewind_epoch": 3, "retrain_epochs": 2}):
        found = load_study(written(tmp_path, **study, **changes))
        epochs = found.retrain_epochs_of("digits", "vgg5", "lr_rewinding")
        assert epochs == changes.get("retrain_epochs", 1)


@pytest.mark.parametrize("whole", ["keep_classifier", "structured"])
def test_an_allocation_of_ones_own_can_be_told_to_keep_the_classifier(tmp_path, whole):
    path = tmp_path / "own.py"
    path.write_text(
        "def bare(layer_sizes, density):\n    return []\n"
        "def told(layer_sizes, density, *, classifier_density=None):\n    return []\n"
    )

    def pruner(name):
        return {"mine": {"score": "magnitude", "allocation": f"{path}:{name}", whole: True}}

    said = message(tmp_path, pruners=pruner("bare"))
    assert f"{path}:bare' has no option classifier_density. It has: none" in said
    load_study(written(tmp_path, pruners=pruner("told")))


@pytest.mark.parametrize("text", ["1e-3", "1E+2", "4.e2", "5.0e-4"])
def test_a_power_of_ten_needs_no_point(tmp_path, text):
    pruners = {"p": {"score": "ntk_sap", "score_options": {"epsilon": "VALUE"}}}
    path = written(tmp_path, pruners=pruners)
    path.write_text(path.read_text().replace("VALUE", text))
    assert load_study(path).pruners["p"].score_options == {"epsilon": float(text)}


def test_a_key_given_twice_is_refused(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: a\nname: b\n")
    with pytest.raises(JackpotError, match="'name' is given twice"):
        load_study(path)


def test_mappings_may_be_merged(tmp_path):
    """Keys of a mapping's own go before those that it takes over, however they are nested."""
    path = written(tmp_path, models={}, overrides=[])
    text = path.read_text()
    assert "models: {}\n" in text and "overrides: []\n" in text
    text = text.replace("models: {}", "models: {a: &a {architecture: vgg5, width: 4}, b: {<<: *a}}")
    merged = (
        "overrides:\n"
        "- {when: {model: a}, pretraining: &one {epochs: 5, batch_size: 9}}\n"
        "- {when: {model: b}, pretraining: &two {<<: *one, epochs: 6}}\n"
        "- {when: {model: b}, retraining: {<<: [*two, *one], batch_size: 8}}\n"
    )
    path.write_text(text.replace("overrides: []\n", merged))
    study = load_study(path)
    assert study.models["b"] == study.models["a"]
    one, two = (study.pretraining_of("digits", model) for model in "ab")
    other = study.retraining_of("digits", "b", "snip")
    found = [(each.epochs, each.batch_size) for each in (one, two, other)]
    assert found == [(5, 9), (6, 9), (6, 8)]
    # A mapping that is merged above before it is read itself.
    path.write_text("x: {y: &y {<<: &z {a: 1}, a: 2}}\nw: {<<: *y}\n")
    with pytest.raises(JackpotError, match="unknown key 'x'"):
        load_study(path)


def test_a_missing_study_lists_those_there():
    with pytest.raises(JackpotError, match=r"no such study.*digits\.yaml"):
        load_study(ROOT / "studies" / "digit.yaml")


def test_config_is_checked_too():
    with pytest.raises(JackpotError, match="Did you mean 'results_dir'"):
        load_config({"reuslts_dir": "x"})
    assert load_config({}).threads == 1


@pytest.mark.parametrize("spelling", ["res", "res/", "./res", "x/../res//"])
def test_a_folder_has_one_spelling(spelling):
    assert load_config({"results_dir": spelling}).results_dir == "res"


def test_a_folder_is_one(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert load_config({"data_dir": "~/data"}).data_dir == "/home/me/data"
    with pytest.raises(JackpotError, match="results_dir: give a folder"):
        load_config({"results_dir": ""})


def test_a_check_is_not_called_as_unspoiled_data_are(tmp_path):
    said = message(tmp_path, checks={"clean": "clean.py"})
    assert "clean is what unspoiled data are called" in said


def test_a_dataset_can_come_from_elsewhere_on_this_machine(tmp_path):
    path = written(tmp_path, datasets={"c": {"kind": "cifar10"}}, experiments=SMALL["experiments"])
    study = load_study(path, {"c": {"kind": "image_folder", "path": "x.tar"}})
    assert (study.datasets["c"].kind, study.datasets["c"].path) == ("image_folder", "x.tar")
    assert load_study(path, {"c": {"path": "y"}}).datasets["c"].kind == "cifar10"
    folder = {"kind": "image_folder", "path": "a", "size": 8}
    path = written(tmp_path, datasets={"c": folder}, experiments=SMALL["experiments"])
    same = load_study(path, {"c": {"kind": "image_folder", "path": "b"}}).datasets["c"]
    assert (same.path, same.size) == ("b", 8)


@pytest.mark.parametrize("given", ["foo", 3, ["foo"], False])
def test_a_dataset_that_is_no_mapping_is_refused_whatever_this_machine_says_of_it(tmp_path, given):
    path = written(tmp_path, datasets={"digits": given})
    with pytest.raises(JackpotError, match=r"datasets\.digits: .*a mapping of keys to values"):
        load_study(path, {"digits": {"path": "x"}})


def test_where_an_archive_with_a_known_digest_lies_decides_nothing(tmp_path):
    def fingerprint(**place):
        path = written(
            tmp_path,
            datasets={"c": {"kind": "cifar10"}},
            models={"vgg5": {"width": 4}},
            experiments=[{"tickets": ["dense"], "seeds": [0]}],
        )
        config = load_config({"study": str(path), "datasets": {"c": place} if place else {}})
        plan = Plan(load_study(path, config.datasets), config)
        return plan.job_of(plan.study.runs()[0]).fingerprint

    at_home = fingerprint()
    assert fingerprint(path="/a/cifar-10-python.tar.gz") == at_home
    assert fingerprint(url="https://example.org/cifar-10-python.tar.gz") == at_home
    folders = {fingerprint(path=str(tmp_path)), fingerprint(path="/b/x.tar", verify=False)}
    assert len(folders | {at_home}) == 3, "what is in these nobody knows"


def test_options_at_their_defaults_are_not_passed(tmp_path):
    """So that what an option is called, or that there is one, moves no result."""
    options = {"affine": True, "bias": False}
    model = {"width": 2, "initial": "fan_out", "options": options}
    prints = set()
    for given in ({"width": 2}, model):
        plan = Plan(load_study(written(tmp_path, models={"vgg5": given})), load_config({}))
        job = plan.initialise("digits", "vgg5", 0)
        assert set(job.options) == {"architecture", "width", "seed", "arithmetic"}
        prints.add(job.fingerprint)
    assert len(prints) == 1


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            {"options": {"bottleneck": True}},
            "vgg5: architecture 'vgg5' has no option bottleneck. It has: width, affine, bias",
        ),
        ({"initial": "fan_mid"}, "'own', 'fan_out' or 'fan_in'"),
        ({"options": {"affine": "no"}}, "affine is true or false, not 'no'"),
        ({"options": {"affine": 1}}, "affine is true or false, not 1"),
    ],
)
def test_options_of_models_are_checked(tmp_path, model, expected):
    assert expected in message(tmp_path, models={"vgg5": model})


def test_fifty_mutated_studies_end_in_a_message_each(tmp_path):
    """Whatever is done to a study, it loads or is refused with its file's name: no traceback."""
    draws, text = random.Random(0), DIGITS.read_text()
    words = ["null", "[]", "{}", "-1", "1e400", "'", ":", "!!python/object:os.system x", "&a *a"]
    path, refused = tmp_path / "study.yaml", []
    for _ in range(50):
        lines = text.split("\n")
        for _ in range(draws.randint(1, 3)):
            at = draws.randrange(len(lines))
            kind = draws.randrange(4)
            if kind == 0:
                del lines[at]
            elif kind == 1:
                lines[at] = lines[at].replace(":", ": " + draws.choice(words), 1)
            elif kind == 2:
                lines[at] = re.sub(r"[a-z]", "q", lines[at], count=1)
            else:
                lines.insert(at, "  " * draws.randint(0, 3) + draws.choice(words))
        path.write_text("\n".join(lines))
        try:
            load_study(path)
        except JackpotError as error:
            refused.append(str(error))
    assert all(text.startswith(str(path)) for text in refused)
    assert len(refused) > 25
