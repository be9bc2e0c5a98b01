"""A study's own checks, and several checks as one."""

import random

import numpy as np
import pytest
import torch

from jackpot.checks import CHECKS, Ticket, find_check, version_of_data
from jackpot.errors import JackpotError
from jackpot.randomness import generator
from jackpot.stages.retrain import spoiled
from jackpot.study import Study

FILE = """
QUESTION = "Does it hold?"
SCOPES = ("one", "two")

def data(images, labels, generator, *, classes):
    return images, labels * 0 + classes - 1

def mask(mask, generator, *, scope):
    return {n: ~k if scope == "two" else k for n, k in mask.items()}

def helper(x):
    return x
"""
CLASSES = '''
class negative:
    """Is it the same in the negative?"""

    def weights(weights, mask, generator, *, share=1.0, fresh):
        return {n: fresh(generator)[n] - share * w for n, w in weights.items()}

def flipped(mask, generator):
    """Does order matter?

    More."""
    return {n: k.flip(0) for n, k in mask.items()}

def bad(weights, mask, generator):
    return RETURNED

def nothing(x, y):
    return x

def needy(mask, generator, *, share):
    return mask

def greedy(weights, mask, generator, *, share=0.5):
    return weights

def data(images, labels, generator):
    return RETURNED

class methods:
    def mask(self, mask, generator):
        return mask

class of_the_class:
    @classmethod
    def mask(cls, mask, generator):
        return mask

class computed:
    SCOPES = tuple("ab")

    def mask(mask, generator, *, scope):
        return mask
'''


@pytest.fixture
def files(tmp_path, monkeypatch):
    (tmp_path / "whole.py").write_text(FILE)
    (tmp_path / "mine.py").write_text(CLASSES)
    monkeypatch.chdir(tmp_path)
    return {"whole": "whole.py", "negative": "mine.py:negative", "flipped": "mine.py:flipped"}


def small():
    draws = generator(0, "ticket")
    weights = {"a": torch.randn(6, 4, generator=draws), "b": torch.randn(5, generator=draws)}
    return Ticket({"a": torch.rand(6, 4, generator=draws) < 0.5}, weights)


def test_a_whole_file_is_a_check(files):
    check = find_check("whole", files)
    assert (check.question, check.edits) == ("Does it hold?", ("data", "mask"))
    assert check.scopes == ("one", "two") and check.spoils == "data and mask"
    images, labels = torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.arange(4)
    assert check.data((images, labels), generator(0), classes=9)[1].tolist() == [8] * 4
    mask = small().mask
    assert torch.equal(check.mask(mask, generator(0))["a"], mask["a"])
    assert torch.equal(check.mask(mask, generator(0), scope="two")["a"], ~mask["a"])
    assert version_of_data(check) == "whole"
    with pytest.raises(JackpotError, match="no scope 'three'; known: one, two"):
        check.mask(mask, generator(0), scope="three")


def test_a_class_and_a_function_are_checks(files):
    negative, flipped = (find_check(name, files) for name in ("negative", "flipped"))
    assert negative.question == "Is it the same in the negative?"
    assert flipped.question == "Does order matter?"
    assert (negative.edits, flipped.edits) == (("weights",), ("mask",))
    assert negative.options == ("share",)
    ticket = small()
    ones = {n: torch.ones_like(w) for n, w in ticket.weights.items()}
    edited = negative.weights(
        ticket.weights, ticket.mask, generator(0), fresh=lambda _: ones, share=0.5
    )
    assert torch.equal(edited["a"], 1 - 0.5 * ticket.weights["a"])
    assert torch.equal(flipped.mask(ticket.mask, generator(0))["a"], ticket.mask["a"].flip(0))
    with pytest.raises(JackpotError, match="no option shar; known: share"):
        negative.weights(ticket.weights, ticket.mask, generator(0), shar=1)


def test_edited_weights_may_come_in_any_order_and_a_mask_in_its_own(tmp_path):
    """A file's weights are in the order of their names, and a network's in that of its layers."""
    (tmp_path / "turned.py").write_text(
        "def drawn(weights, mask, generator, *, fresh):\n    return fresh(generator)\n"
        "def turned(mask, generator):\n    return dict(reversed(mask.items()))\n"
        "def fewer(weights, mask, generator):\n    return {n: weights[n] for n in mask}\n"
    )
    own = {name: f"{tmp_path}/turned.py:{name}" for name in ("drawn", "turned", "fewer")}
    ticket = small()
    other = {name: torch.ones_like(ticket.weights[name]) for name in ("b", "a")}
    found = find_check("drawn", own).ticket(
        ticket, generator(1), generator(0), fresh=lambda _: other
    )
    assert all(torch.equal(found.weights[name], other[name]) for name in ("a", "b"))
    both = Ticket({**ticket.mask, "b": torch.ones(5, dtype=torch.bool)}, ticket.weights)
    with pytest.raises(JackpotError, match="return the names that it was given, in their order"):
        find_check("turned", own).mask(both.mask, generator(0))
    with pytest.raises(JackpotError, match="edit of the weights must return the names that it was"):
        find_check("fewer", own).ticket(ticket, generator(1), generator(0))


def test_an_edit_that_ignores_its_generator_differs_by_seed_and_repeats(tmp_path):
    (tmp_path / "noise.py").write_text(
        "import random\nimport numpy as np\nimport torch\n"
        "def noise(weights, mask, generator):\n"
        "    extra = random.random() + np.random.random()\n"
        "    return {n: torch.randn(w.shape) + extra for n, w in weights.items()}\n"
    )
    own, ticket = {"noise": f"{tmp_path}/noise.py:noise"}, small()
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1]  # noqa: NPY002
    first, again, other = (
        spoiled(find_check("noise", own), ticket, seed).weights["b"] for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert abs(float(first.mean() - other.mean())) > 1e-6
    assert torch.equal(torch.get_rng_state(), before[0]) and random.getstate() == before[1]
    assert (np.random.get_state()[1] == before[2]).all()  # noqa: NPY002


def test_what_edits_nothing_is_refused(files):
    with pytest.raises(
        ValueError, match="edits nothing: it needs a function data, scores, mask or weights"
    ):
        find_check("x", {"x": "mine.py:nothing"})
    with pytest.raises(
        ValueError, match=r"defines no function 'flippd'\. Did you mean 'flipped'\? It"
    ):
        find_check("x", {"x": "mine.py:flippd"})
    with pytest.raises(ValueError, match="leave `self` out"):
        find_check("x", {"x": "mine.py:methods"})
    with pytest.raises(ValueError, match="leave `cls` out"):
        find_check("x", {"x": "mine.py:of_the_class"})
    with pytest.raises(ValueError, match=r"mine.py:computed.*SCOPES is read without running"):
        find_check("x", {"x": "mine.py:computed"})


def checks_of(tmp_path, text):
    path = tmp_path / "own.py"
    path.write_text(text)
    return lambda name: find_check("x", {"x": f"{path}{name}"})


EDIT = "def {}(mask, generator{}):\n    return mask\n"


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("class Base:\n    pass\nclass Own(Base):\n    x = 1\n", ":Own", "what it inherits"),
        ("class Own:\n    mask = staticmethod(len)\n", ":Own", "mask is no function"),
        (EDIT.format("mask", "") + "weights = len\n", "", "weights is no function"),
        ("from os import data\n" + EDIT.format("mask", ""), "", "data is no function"),
        ("if True:\n    def scores(s, g):\n        return s\n", "", "scores is no function"),
        ("scores, mask = len, len\n", "", "scores is no function"),
        ("SCOPES, x = ('a', 'b'), 3\n" + EDIT.format("mask", ""), "", "SCOPES is read without"),
        ("SCOPES = ('a',)\nSCOPES += ('b',)\n" + EDIT.format("mask", ""), "", "SCOPES is read wi"),
        ("async def mask(mask, generator):\n    return mask\n", "", "mask is no function"),
        (EDIT.format("own", ", *, scope"), ":own", "scope has no default, and no SCOPES"),
    ],
)
def test_an_edit_that_would_be_left_out_is_refused(tmp_path, text, name, message):
    with pytest.raises(ValueError, match=message):
        checks_of(tmp_path, text)(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (EDIT.format("mask", "") + "if __name__ == '__main__':\n    weights = QUESTION = 3\n", ""),
        ("if TYPE_CHECKING:\n    from numpy import data\n" + EDIT.format("mask", ""), ""),
        ("class Own(object):\n    def mask(mask, generator):\n        return mask\n", ":Own"),
        (EDIT.format("mask", "") + "def f(weights):\n    data = [scores for scores in '']\n", ""),
    ],
)
def test_what_is_no_edit_may_have_its_name_where_nothing_reads_it(tmp_path, text, name):
    assert checks_of(tmp_path, text)(name).edits == ("mask",)


def test_what_a_file_says_of_its_one_function(tmp_path):
    text = "SCOPES: tuple = ('rows', 'columns')\nPRETRAINING_ONLY: bool = True\n"
    found = checks_of(tmp_path, text + EDIT.format("own", ", *, scope") + EDIT.format("other", ""))
    assert found(":own").scopes == ("rows", "columns") and found(":own").pretraining_only
    assert found(":other").scopes == () and found(":other").pretraining_only
    with pytest.raises(JackpotError, match="has no scope 'bogus'; known: rows, columns"):
        found(":own").mask({}, generator(0), scope="bogus")


@pytest.mark.parametrize("scopes", ["('rows')", "{'a', 'b'}", "3", "('a', '')", "['a', 2]"])
def test_scopes_that_name_no_values_in_order_are_refused(tmp_path, scopes):
    found = checks_of(tmp_path, f"SCOPES = {scopes}\n" + EDIT.format("mask", ", *, scope"))
    why = r"own\.py.: SCOPES is .* in a tuple, \(.a., .b.\), the default first; see docs"
    with pytest.raises(ValueError, match=why):
        found("")


def test_an_option_without_a_default_is_asked_for_before_anything_runs(files):
    study = {
        "name": "x",
        "datasets": {"d": {"kind": "digits"}},
        "models": {"vgg5": {}},
        "checks": {"needy": "mine.py:needy", "greedy": "mine.py:greedy"},
        "experiments": [{"tickets": ["snip"], "checks": ["needy"], "sparsities": [0.5]}],
        "statistics": {"looks": [2]},
    }
    with pytest.raises(ValueError, match=r"checks.needy: needs the option share.*check_options"):
        Study.model_validate(study)
    study["check_options"] = {"needy": {"share": 0.1}}
    Study.model_validate(study)
    # What is given for one would reach the other too.
    study["experiments"][0]["checks"] = [["needy", "greedy"]]
    with pytest.raises(ValueError, match=r"needy and greedy both have an option 'share'"):
        Study.model_validate(study)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("None", r"check bad \(mine.py:bad\): .* and returned None"),
        ("[1]", "and returned a list"),
        ("{'a': weights['a']}", "the names that it was given"),
        ("{**weights, 'a': weights['a'][:2]}", "a is another"),
        ("{**weights, 'a': weights['a'].double()}", "a is another"),
    ],
)
def test_what_an_edit_returns_has_the_form_of_what_it_was_given(files, tmp_path, returned, message):
    (tmp_path / "mine.py").write_text(CLASSES.replace("RETURNED", returned))
    ticket, check = small(), find_check("bad", {"bad": "mine.py:bad"})
    with pytest.raises(JackpotError, match=message):
        check.weights(ticket.weights, ticket.mask, generator(0))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("images", r"must return \(images, labels\), and returned a Tensor"),
        ("None", "and returned None"),
        ("(images.float(), labels)", "of the types and shapes it was given"),
        ("(images[:, :, :1], labels)", "of the types and shapes it was given"),
        ("(images, labels[:2])", "of the types and shapes it was given"),
        ("(images, labels.tolist())", "of the types and shapes it was given"),
    ],
)
def test_data_that_an_edit_returns_has_the_form_of_what_it_was_given(
    files, tmp_path, returned, message
):
    (tmp_path / "mine.py").write_text(CLASSES.replace("RETURNED", returned))
    images, labels = torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.arange(4)
    check = find_check("data", {"data": "mine.py:data"})
    with pytest.raises(JackpotError, match=message):
        check.data((images, labels), generator(0))


def test_edits_of_different_ingredients_compose(files):
    check = find_check(["shuffled_weights", "rearranged"], files)
    assert check.name == "rearranged+shuffled_weights" and check.edits == ("mask", "weights")
    assert check == find_check("rearranged+shuffled_weights")
    ticket = small()
    both = spoiled(check, ticket, 3)
    # Each draws as it does alone: the mask first, and then the weights under that mask.
    mask = CHECKS["rearranged"].mask(ticket.mask, generator(3, "check", "rearranged", "mask"))
    draws = generator(3, "check", "shuffled_weights", "weights")
    weights = CHECKS["shuffled_weights"].weights(ticket.weights, mask, draws)
    assert torch.equal(both.mask["a"], mask["a"])
    assert torch.equal(both.weights["a"], weights["a"])


def test_a_combination_sees_the_data_of_its_data_check(files):
    check = find_check(["shuffled_weights", "half_dataset"])
    assert check.name == "half_dataset+shuffled_weights"
    assert check.pretraining_only and version_of_data(check) == "half_dataset"
    assert version_of_data("rearranged+shuffled_weights") == "clean"


def test_options_of_a_combination_go_to_the_check_that_has_them(files):
    check = find_check("negative+whole", files)
    assert check.name == "whole+negative"
    ticket = small()
    mask = check.mask(ticket.mask, generator(0), scope="two", share=2.0)
    assert torch.equal(mask["a"], ~ticket.mask["a"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["random_labels", "random_pixels"], "random_labels and random_pixels both edit the data"),
        (["reinitialized", "negative"], "both edit the weights"),
        (["none", "rearranged"], "`none` leaves the ticket alone"),
        (["rearranged", "gone"], "check 'gone' does not exist. Allowed: none"),
    ],
)
def test_checks_that_do_not_go_together_are_refused(files, names, message):
    with pytest.raises(ValueError, match=message):
        find_check(names, files)
