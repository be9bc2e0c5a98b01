"""A user's score: what it is given, what it may return, and what it is told in rounds."""

import copy

import pytest

from jackpot.errors import JackpotError
from jackpot.models import prunable
from jackpot.pruning.masks import layer_counts
from jackpot.settings import Pruner
from jackpot.study.tickets import check_pruner
from tests.support.pruning import masks_of, network, same


def test_a_score_is_told_what_the_iterations_left(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def mine(model, data, generator, *, alive=None):\n"
        "    return {n: keep.double() for n, keep in alive.items()}\n"
    )
    model = network()
    alive = masks_of(model, "random", sparsities=[0.5])[0.5]
    name = f"{tmp_path}/mine.py:mine"
    assert same(masks_of(model, name, sparsities=[0.5], alive=alive)[0.5], alive)


CARELESS = """
def slopes(model, data, generator):
    images, labels = data
    (model.train()(images).logsumexp(1).sum()).backward()
    weights = {n: p for n, p in model.named_parameters() if p.dim() > 1}
    scores = {n: (p * p.grad).detach().abs() for n, p in weights.items()}
    CARE
    return scores
"""


def test_a_careless_score_is_given_a_network_of_its_own_in_every_round(tmp_path):
    (tmp_path / "careless.py").write_text(
        CARELESS.replace("CARE", "weights['conv.weight'].data *= 2")
    )
    (tmp_path / "careful.py").write_text(
        CARELESS.replace("CARE", "model.zero_grad()").replace(
            "(model.train", "import copy; model = copy.deepcopy(model); (model.train"
        )
    )
    model = network()
    careless, careful = (f"{tmp_path}/{name}.py:slopes" for name in ("careless", "careful"))
    expected = masks_of(model, careful, sparsities=[0.8], rounds=5)[0.8]
    assert same(masks_of(model, careless, sparsities=[0.8], rounds=5)[0.8], expected)
    assert same(masks_of(model, careless, sparsities=[0.5, 0.8], rounds=5)[0.8], expected)


def test_a_score_that_revives_needs_to_be_told_what_was_pruned(tmp_path):
    (tmp_path / "mine.py").write_text("REVIVES = True\ndef mine(model, data, g):\n    return {}\n")
    with pytest.raises(ValueError, match="says REVIVES and has no parameter `alive`"):
        check_pruner(Pruner(score=f"{tmp_path}/mine.py:mine"))


def test_a_score_with_any_keywords_is_still_shown_what_is_left(tmp_path):
    """It names neither ``alive`` nor ``inplace``, so pruned weights are 0 in what it sees."""
    (tmp_path / "mine.py").write_text(
        "def mine(model, data, generator, **options):\n"
        "    assert not options\n"
        "    return {n: w.detach().abs() for n, w in model.named_parameters() if w.dim() > 1}\n"
    )
    model = network()
    found = masks_of(model, f"{tmp_path}/mine.py:mine", sparsities=[0.9], rounds=3)[0.9]
    assert same(found, masks_of(model, sparsities=[0.9])[0.9])


def test_a_users_score_and_allocation(tmp_path):
    (tmp_path / "mine.py").write_text(
        "def later(model, data, generator, *, sign=1):\n"
        "    model.conv.weight.data.zero_()\n"
        "    return {n: sign * torch.arange(p.numel()).reshape(p.shape)\n"
        "            for n, p in model.named_parameters() if p.dim() > 1}\n"
        "def greedy(layer_sizes, density, *, shapes, family):\n"
        "    return [0] * len(layer_sizes)\n"
        "import torch\n"
    )
    model = network()
    before = copy.deepcopy(model.state_dict())
    for rounds in (1, 3):
        mask = masks_of(
            model,
            f"{tmp_path}/mine.py:later",
            "uniform",
            [0.5],
            rounds=rounds,
            score_options={"sign": -1},
        )[0.5]
        for _, total, kept in layer_counts(mask):
            assert 0 < kept < total
        for keep in mask.values():
            assert bool(keep.reshape(-1)[: int(keep.sum())].all())
    assert same(before, model.state_dict()), "a careless score does not reach the caller's model"
    with pytest.raises(JackpotError, match="sum to 0"):
        masks_of(model, allocation=f"{tmp_path}/mine.py:greedy", sparsities=[0.5])


def test_scores_of_the_wrong_form_are_refused(tmp_path):
    (tmp_path / "bad.py").write_text("def bad(model, data, generator):\n    return {}\n")
    with pytest.raises(JackpotError, match=r"conv.weight \(4, 1, 3, 3\)"):
        masks_of(network(), f"{tmp_path}/bad.py:bad")


def test_nan_is_told_with_the_score_that_made_it(tmp_path):
    (tmp_path / "bad.py").write_text(
        "def bad(model, data, generator):\n"
        "    return {n: p * float('nan') for n, p in model.named_parameters() if p.dim() > 1}\n"
    )
    with pytest.raises(JackpotError, match=r"score .*bad\.py:bad: conv\.weight has NaN"):
        masks_of(network(), f"{tmp_path}/bad.py:bad")


LOOKS_AT_DATA = """
def peeks(model, data, generator):
    images, labels = data
    assert images.dtype.is_floating_point and len(images) == len(labels) > 1
    total = float(images.abs().sum()) + int(labels.sum())
    return {n: p.detach() * (1 + total) for n, p in model.named_parameters() if p.dim() > 1}
"""


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize(
    ("says", "seen"),
    [("", True), ("USES_DATA = False", False), ("USES_DATA: bool = False", False)],
)
def test_a_score_that_says_it_uses_no_data_sees_none(tmp_path, monkeypatch, rounds, says, seen):
    (tmp_path / "mine.py").write_text(says + LOOKS_AT_DATA)
    name, given = f"{tmp_path}/mine.py:peeks", []
    monkeypatch.setattr(
        "jackpot.pruning.make_masks.checked_scores",
        lambda name, scores, weights: given.append(scores) or scores,
    )
    model = network()
    masks_of(model, name, sparsities=[0.5], rounds=rounds)
    assert same(given[0], dict(prunable(model))) != seen
