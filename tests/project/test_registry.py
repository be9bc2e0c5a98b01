"""The five doors: what a user's file has is read, not imported, and refused before any job."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from jackpot.architectures import MODELS
from jackpot.checks import CHECKS
from jackpot.data.kinds import KINDS
from jackpot.errors import JackpotError
from jackpot.pruning.allocation import ALLOCATIONS, allocate
from jackpot.pruning.scores import SCORES, checked_scores
from jackpot.registry import own_traceback
from jackpot.study import load_study

OWN = '''
"""A file of a user's."""
import missing_module

def plain(a, b, c): ...
def open_(a, b, c, d, *, e, f=1, **more): ...
def short(a, b): ...
def many(*all): ...
def annotated(a, b, c, power: int | float = 1, rule: "Rule | None" = None): ...
class Net:
    def __init__(self, a, b, c, *, width=3): ...
made = open_
short_lambda = lambda a: a
typed: object = lambda a: a
later: int
VALUE = 3
if VALUE:
    def chosen(a, b, c): ...
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("1 / 0\n")
    (tmp_path / "package" / "module.py").write_text("def f(a, b, c): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("own.py:plain", [], None),
        ("own.py:many", [], None),
        ("own.py:made", ["anything"], None),
        ("own.py:missing_module", [], None),
        ("own.py:Net", ["width"], None),
        ("own.py:Net", ["widht"], r"no option widht\. Did you mean 'width'\? It has: width"),
        ("own.py:open_", ["d", "e", "anything"], None),
        ("own.py:open_", ["e"], "needs the option d, which has no default"),
        ("own.py:plain", ["x"], r"no option x\. It has: none"),
        ("own.py:short", [], r"takes 2 arguments by position, and is called as short\(model, data"),
        ("own.py:short_lambda", [], "takes 1 arguments by position, and is called as short_l"),
        ("own.py:typed", [], "takes 1 arguments by position, and is called as typed"),
        ("own.py:later", [], "own.py defines no function 'later'"),
        ("own.py:chosen", ["anything"], None),
        ("own.py:VALUE", [], "VALUE in .*own.py is no function"),
        (
            "own.py:gone",
            [],
            "own.py defines no function 'gone'. It defines: plain, open_, short, many, annotated, "
            "Net, short_lambda, typed$",
        ),
        ("own.py:plian", [], r"no function 'plian'\. Did you mean 'plain'\? It defines: plain, "),
        ("other.py:plain", [], "there is no file other.py"),
        ("no.such:f", [], "no module 'no.such'"),
        ("os:f", [], "no module 'os' in a file$"),
        ("package.module:f", [], r"no module 'package.module' .*\(ZeroDivisionError: division"),
        ("nothing", [], "does not exist. Allowed: .*snip.*file.py:function"),
    ],
)
def test_names_arguments_and_options_are_checked_without_an_import(own, name, options, message):
    if message is None:
        SCORES.check(name, options)
    else:
        with pytest.raises(ValueError, match=message):
            SCORES.check(name, options)


def test_a_module_that_fails_while_it_is_imported_is_named(own):
    (own / "failing.py").write_text("def f(a, b, c): ...\n1 / 0\n")
    (own / "lacking.py").write_text("import no_such_module\ndef f(a, b, c): ...\n")
    for name, why in (("failing", "ZeroDivisionError"), ("lacking", "ModuleNotFoundError")):
        SCORES.check(f"{name}:f")
        with pytest.raises(JackpotError, match=f"module '{name}' could not be imported .{why}"):
            SCORES[f"{name}:f"]


def test_what_is_no_python_is_told_with_its_line(own):
    (own / "bad.py").write_text("def f(:\n")
    for registry in (SCORES, ALLOCATIONS, KINDS, MODELS):
        with pytest.raises(ValueError, match=r"bad.py cannot be read: .*line 1"):
            registry.check("bad.py:f")
    with pytest.raises(ValueError, match=r"bad\.py cannot be read"):
        CHECKS.read("bad.py:f")


def test_options_that_built_in_methods_have():
    assert KINDS.options("image_folder") == ["size", "channels"]
    assert SCORES.options("synflow") == ["input_shape"]
    assert "width" in MODELS.options("vgg19") and "depth" not in MODELS.options("vgg19")
    assert ALLOCATIONS.options("smart") == ["family", "variant", "classifier_density"]
    with pytest.raises(ValueError, match="no option depth"):
        MODELS.check("vgg19", ["depth"])


STUDY = {
    "name": "own",
    "datasets": {"digits": {"kind": "digits"}},
    "models": {"vgg5": {}},
    "experiments": [{"tickets": ["snip"], "sparsities": [0.5], "seeds": [0]}],
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pruners": {"p": {"score": "own.py:short"}}}, r"pruners: p: score .*takes 2 arguments"),
        (
            {"pruners": {"p": {"score": "snip", "score_options": {"drws": 2}}}},
            "Did you mean 'draws'",
        ),
        (
            {"pruners": {"p": {"score": "grasp", "score_options": {"temperature": "hot"}}}},
            "'grasp': temperature is a number, not 'hot'",
        ),
        (
            {"pruners": {"p": {"score": "grasp", "score_options": {"draws": 1.5}}}},
            "'grasp': draws is a whole number, not 1.5",
        ),
        (
            {
                "pruners": {
                    "p": {
                        "score": "random",
                        "allocation": "smart",
                        "allocation_options": {"variant": 2020},
                    }
                }
            },
            "'smart': variant is a name, not 2020",
        ),
        (
            {
                "pruners": {
                    "p": {
                        "score": "random",
                        "allocation": "smart",
                        "allocation_options": {"classifier_density": "half"},
                    }
                }
            },
            "'smart': classifier_density is a number or null, not 'half'",
        ),
        (
            {"pruners": {"p": {"score": "own.py:annotated", "score_options": {"power": True}}}},
            "annotated': power is a whole number or a number, not True",
        ),
        (
            {
                "pruners": {
                    "p": {"score": "snip", "allocation": "erk", "allocation_options": {"x": 1}}
                }
            },
            "allocation 'erk' has no option x",
        ),
        (
            {"pruners": {"p": {"score": "snip", "allocation_options": {"x": 1}}}},
            "allocation global has no option x",
        ),
        ({"models": {"m": {"architecture": "own.py:short"}}}, "models: m: .*takes 2 arguments"),
        (
            {"models": {"m": {"architecture": "own.py:Net", "options": {"deep": 1}}}},
            "models: m: .*no option deep",
        ),
        ({"models": {"vgg5": {"initial": "own"}}}, "initial: own is for models of your own"),
        ({"datasets": {"d": {"kind": "own.py:none"}}}, "datasets.d.kind: .*defines no function"),
        (
            {"datasets": {"d": {"kind": "digits", "options": {"x": 1}}}},
            "datasets.d: .*'digits' has no option x",
        ),
        ({"datasets": {"d": {"kind": "digits", "size": 8}}}, "has no option size"),
        (
            {"datasets": {"d": {"kind": "digits", "path": "x"}}},
            "digits comes with its package, and takes no path",
        ),
        ({"datasets": {"d": {"kind": "cifar10", "verify": False}}}, "verify: false is for a local"),
        ({"checks": {"mine": "own.py:plain"}}, "checks: mine: .*edits nothing"),
        ({"checks": {"mine": "rearranged"}}, "neither a file.py:function nor a file.py"),
        ({"checks": {"rearranged": "own.py:plain"}}, "the name of a built-in check"),
        ({"checks": {"a-b": "own.py:plain"}}, "checks"),
        (
            {
                "pruners": {"mine": {"score": "own.py:plain"}},
                "tickets": {"mine": {"pruner": "mine"}},
                "experiments": [{"tickets": ["mine"], "sparsities": [0.5], "seeds": [0]}],
                "pruning_batch": {"draws": 2},
            },
            "pruning_batch.draws: 2 for pruner 'mine': .*no option draws",
        ),
    ],
)
def test_a_study_is_refused_with_the_key(own, changes, message):
    Path("study.yaml").write_text(yaml.safe_dump({**STUDY, **changes}))
    with pytest.raises(JackpotError, match=message):
        load_study("study.yaml")


def test_laying_out_a_study_of_own_files_imports_none_of_them(own):
    (own / "checks.py").write_text("import missing_module\n\ndef f(mask, generator): ...\n")
    values = {
        **STUDY,
        "datasets": {"d": {"kind": "own.py:open_", "options": {"e": 1}}},
        "models": {"m": {"architecture": "own.py:Net"}},
        "pruners": {"own": {"score": "own.py:plain", "allocation": "own.py:made"}},
        "tickets": {"own": {"pruner": "own"}},
        "checks": {"mine": "checks.py:f"},
    }
    values["experiments"] = [{**STUDY["experiments"][0], "tickets": ["own"], "checks": ["mine"]}]
    values["datasets"]["d"]["options"] |= {"b": 1, "c": 2, "d": 3}
    Path("study.yaml").write_text(yaml.safe_dump(values))
    program = (
        "import sys\n"
        "from jackpot.study import Plan, load_config, load_study\n"
        "plan = Plan(load_study('study.yaml'), load_config({}))\n"
        "assert len(plan.files()) > 3\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "and returned None"),
        ([1, 2], "and returned a list"),
        ({"a": torch.ones(2)}, r"for b \(3,\) there is None"),
        ({"a": torch.ones(2), "b": [1, 2, 3]}, r"for b \(3,\) there is a list"),
        ({"a": torch.ones(3), "b": torch.ones(3)}, r"for a \(2,\) there is one of \(3,\)"),
        ({"a": torch.ones(2), "b": torch.ones(3), "c": torch.ones(1)}, "c is none of them"),
    ],
)
def test_scores_of_another_form_are_told_in_one_line(returned, message):
    weights = {"a": torch.ones(2), "b": torch.ones(3)}
    with pytest.raises(JackpotError, match=message) as raised:
        checked_scores("mine.py:f", returned, weights)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", "and returned None"),
        ("iter([6, 4])", "and returned a list_iterator"),
        ("[5.0, 5]", "5.0 is a float"),
        ("[5]", "and returned 1 that sum to 5"),
        ("[5, 6]", "and returned 2 that sum to 11"),
        ("[11, -1]", "layer 1 has 10 weights and cannot keep 11"),
        ("[6, 4]", None),
    ],
)
def test_counts_of_another_form_are_told_in_one_line(own, returned, message):
    (own / "share.py").write_text(f"def share(layer_sizes, density):\n    return {returned}\n")
    arguments = {"budget": 10, "shapes": [(10,), (10,)], "family": "resnet", "options": {}}
    if message is None:
        assert allocate("share.py:share", [10, 10], 0.5, **arguments) == [6, 4]
        return
    with pytest.raises(JackpotError, match=message) as raised:
        allocate("share.py:share", [10, 10], 0.5, **arguments)
    assert "\n" not in str(raised.value)


def test_an_allocation_has_the_models_family_unless_the_study_says(own):
    (own / "share.py").write_text(
        "def share(layer_sizes, density, *, family):\n"
        "    return [10, 0] if family == 'vgg' else [0, 10]\n"
    )
    arguments = {"budget": 10, "shapes": [(10,), (10,)], "family": "resnet"}
    assert allocate("share.py:share", [10, 10], 0.5, options={}, **arguments) == [0, 10]
    given = {"family": "vgg"}
    assert allocate("share.py:share", [10, 10], 0.5, options=given, **arguments) == [10, 0]


def test_a_users_error_is_told_from_their_first_line_on(own):
    (own / "beside.py").write_text("def fail():\n    return 1 / 0\n")
    (own / "bad.py").write_text("import beside\n\ndef f(a, b, c):\n    return beside.fail()\n")
    with pytest.raises(ZeroDivisionError) as raised:
        SCORES["bad.py:f"](1, 2, 3)
    told = own_traceback(raised.value)
    assert "line 4, in f" in told and "line 2, in fail" in told
    assert "test_registry" not in told and told.endswith("ZeroDivisionError: division by zero")
    with pytest.raises(ValueError, match="invalid literal") as raised:
        int("x")
    assert own_traceback(raised.value) is None
