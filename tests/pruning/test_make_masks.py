"""From a score and an allocation to masks."""

import copy
import math
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jackpot.errors import JackpotError
from jackpot.models import prunable
from jackpot.pruning.allocation import ALLOCATIONS, smart_counts
from jackpot.pruning.masks import keep_number, keep_top, layer_counts
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.pruning import SPARSITIES, batch, flat, masks_of, negative, network, same


@pytest.mark.parametrize("score", list(SCORES))
@pytest.mark.parametrize("allocation", ["global", *ALLOCATIONS])
@pytest.mark.parametrize("name", ["vgg5", "resnet8"])
def test_every_score_and_allocation_mix_and_count_exactly(score, allocation, name):
    model = network(name)
    before = copy.deepcopy(model.state_dict())
    found = masks_of(model, score, allocation)
    total = len(flat(prunable(model)))
    for sparsity, mask in found.items():
        assert list(mask) == list(prunable(model))
        assert int(flat(mask).sum()) == round((1 - sparsity) * total)
    assert list(found) == SPARSITIES
    assert same(before, model.state_dict()) and model.training


def test_global_takes_the_top_scores():
    model = network()
    scores = SCORES["snip"](model, batch(), generator(0))
    assert same(masks_of(model, "snip")[0.9], keep_top(scores, 0.1))


@pytest.mark.parametrize("name", ["vgg5", "resnet8"])
def test_hybrid_is_magnitude_within_smart_counts_of_the_models_family(name):
    model = network(name)
    scores = SCORES["magnitude"](model, None, generator(0))
    sizes = [w.numel() for w in prunable(model).values()]
    for variant in ("su2020", "mlrc2020"):
        counts = smart_counts(sizes, 0.9, name.rstrip("0123456789"), variant)
        found = masks_of(model, allocation="smart", allocation_options={"variant": variant})
        for (layer, values), count in zip(scores.items(), counts, strict=True):
            assert torch.equal(found[0.9][layer], keep_number({layer: values}, count)[layer])


def test_random_tickets_are_keyed_and_do_not_depend_on_other_sparsities():
    model = network()
    alone = masks_of(model, "random", "smart", [0.9])[0.9]
    assert same(alone, masks_of(model, "random", "smart")[0.9])
    other = masks_of(model, "random", "smart", [0.9], generator=generator(1, "prune"))[0.9]
    assert not same(alone, other)
    assert layer_counts(alone) == layer_counts(other)


def test_random_tickets_are_of_single_weights():
    mask = masks_of(network(), "random", sparsities=[0.5])[0.5]
    filters = [keep.flatten(1) for keep in mask.values() if keep[0].numel() >= 36]
    assert filters and all((f.any(1) & ~f.all(1)).all() for f in filters)


def test_one_score_serves_every_sparsity():
    found = masks_of(network(), "snip")
    for looser, tighter in pairwise(SPARSITIES):
        assert bool((flat(found[looser]) | ~flat(found[tighter])).all())


def synflow_by_hand(model, density, rounds):
    """Tanaka et al. 2020, algorithm 1, with a plain sort and the absolute values by hand."""
    model = copy.deepcopy(model).double().eval()
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data = tensor.data.abs()
    weights = list(prunable(model).values())
    alive = torch.ones(sum(w.numel() for w in weights), dtype=torch.bool)
    for done in range(1, rounds + 1):
        model.zero_grad()
        model(torch.ones(1, 1, 8, 8, dtype=torch.float64)).sum().backward()
        scores = torch.cat([(w * w.grad).detach().reshape(-1) for w in weights])
        order = sorted(range(len(alive)), key=lambda i: (-float(scores[i]), i))
        order = [i for i in order if alive[i]]
        alive = torch.zeros_like(alive)
        alive[order[: round(density ** (done / rounds) * len(alive))]] = True
        for weight, part in zip(weights, alive.split([w.numel() for w in weights]), strict=True):
            weight.data = weight.data * part.reshape(weight.shape)
    return alive


@pytest.mark.parametrize("sparsity", [0.5, 0.94])
def test_synflow_in_rounds_follows_the_algorithm(sparsity):
    model = network(width=2)
    found = masks_of(model, "synflow", sparsities=[sparsity], rounds=5)[sparsity]
    assert torch.equal(flat(found), synflow_by_hand(model, 1 - sparsity, 5))
    once = masks_of(model, "synflow", sparsities=[sparsity])[sparsity]
    assert not same(found, once)


def test_synflow_in_100_rounds_collapses_no_layer():
    model = network("vgg5")
    assert all(kept for _, _, kept in layer_counts(masks_of(model, "synflow", rounds=100)[0.98]))


def snip_by_hand(model, alive):
    """|w dL/dw| of a network whose weights are masked, by autograd on a float64 copy."""
    network, (images, labels) = copy.deepcopy(model).double().train(), batch()
    dense = flat(prunable(network)).detach().clone()
    for weight, part in zip(prunable(network).values(), split(alive, model), strict=True):
        weight.data = weight.data * part
    F.cross_entropy(network(images.double()), labels).backward()
    slopes = torch.cat([w.grad.reshape(-1) for w in prunable(network).values()])
    return (dense * slopes).abs()


def split(vector, model):
    weights = list(prunable(model).values())
    parts = vector.split([w.numel() for w in weights])
    return [part.reshape(w.shape) for part, w in zip(parts, weights, strict=True)]


def skeleton_by_hand(model, density, rounds, revive):
    """de Jorge et al. 2021, algorithm 1 with their exponential schedule, with a plain sort."""
    alive = torch.ones(len(flat(prunable(model))), dtype=torch.bool)
    came_back = 0
    for done in range(1, rounds + 1):
        scores = snip_by_hand(model, alive)
        if not revive:
            scores[~alive] = -1
        count = round(math.exp(done / rounds * math.log(density)) * len(alive))
        order = sorted(range(len(alive)), key=lambda i: (-float(scores[i]), i))
        kept = torch.zeros_like(alive)
        kept[order[:count]] = True
        came_back += int((kept & ~alive).sum())
        alive = kept
    return alive, came_back


@pytest.mark.parametrize("sparsity", [0.5, 0.9])
@pytest.mark.parametrize("score", ["snip", "force"])
def test_iterative_snip_and_force_follow_the_algorithm(score, sparsity):
    model = network(width=3)
    found = masks_of(model, score, sparsities=[sparsity, 0.7], rounds=6)
    expected, came_back = skeleton_by_hand(model, 1 - sparsity, 6, score == "force")
    agreed = (flat(found[sparsity]) == expected).double().mean()
    # Float32 against float64: a rank or two at the threshold.
    assert agreed > 0.995
    assert (came_back > 0) == (score == "force")
    assert int(flat(found[sparsity]).sum()) == int(expected.sum())


def test_ntk_sap_in_rounds_prunes_what_the_round_before_left():
    model = network(width=2)
    g, alive = generator(0, "prune"), None
    for done in range(1, 4):
        scores = SCORES["ntk_sap"](model, batch(), g, alive=alive)
        if alive is not None:
            scores = {n: s.masked_fill(~alive[n], -1.0) for n, s in scores.items()}
        alive = keep_top(scores, 0.2 ** (done / 3))
    assert same(masks_of(model, "ntk_sap", sparsities=[0.8], rounds=3)[0.8], alive)


@pytest.mark.parametrize("allocation", ["global", "smart"])
@pytest.mark.parametrize("score", ["magnitude", "snip", "grasp"])
def test_inverted_scores_keep_the_lowest_and_every_layers_count(score, allocation):
    model = network()
    scores = SCORES[score](model, batch(), generator(0))
    plain = masks_of(model, score, allocation)
    found = masks_of(model, score, allocation, edit=negative)
    for sparsity in SPARSITIES:
        assert layer_counts(found[sparsity]) == layer_counts(plain[sparsity])
        for name, keep in found[sparsity].items():
            values = scores[name].reshape(-1).tolist()
            # Equal scores stay in order, as Python's sort leaves them.
            order = sorted(range(len(values)), key=values.__getitem__)
            kept = keep.reshape(-1).nonzero().squeeze(1).tolist()
            assert kept == sorted(order[: len(kept)])


@pytest.mark.parametrize("score", ["synflow", "force"])
def test_inverted_scores_in_rounds_end_with_the_counts_of_the_plain_rounds(score):
    model = network(width=2)
    plain = masks_of(model, score, sparsities=[0.8, 0.5], rounds=4)
    found = masks_of(model, score, sparsities=[0.8, 0.5], rounds=4, edit=negative)
    for sparsity in (0.8, 0.5):
        assert layer_counts(found[sparsity]) == layer_counts(plain[sparsity])
        assert not same(found[sparsity], plain[sparsity])
    again = masks_of(model, score, sparsities=[0.5], rounds=4, edit=negative)
    assert same(again[0.5], found[0.5])


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_scores_name_is_an_allocation_of_its_counts(rounds):
    model = network()
    snip = masks_of(model, "snip", rounds=rounds)
    found = masks_of(model, "random", "snip", rounds=rounds)
    for sparsity in SPARSITIES:
        assert layer_counts(found[sparsity]) == layer_counts(snip[sparsity])
    assert not same(found[0.9], snip[0.9])
    other = masks_of(model, "random", "snip", rounds=rounds, generator=generator(1, "prune"))
    assert layer_counts(other[0.9]) == layer_counts(found[0.9])
    assert not same(other[0.9], found[0.9])
    with pytest.raises(JackpotError, match="no option variant"):
        masks_of(model, "random", "snip", allocation_options={"variant": "su2020"})


@pytest.mark.parametrize("options", [{"keep_classifier": True}, {"progress": 0.5}])
def test_a_scores_counts_are_those_of_its_own_ticket(options):
    model = network()
    snip = masks_of(model, "snip", sparsities=[0.8], **options)[0.8]
    found = masks_of(model, "random", "snip", [0.8], **options)[0.8]
    assert layer_counts(found) == layer_counts(snip)
    assert layer_counts(found) != layer_counts(masks_of(model, "snip", sparsities=[0.8])[0.8])


@pytest.mark.parametrize("allocation", ["magnitude", "global", "erk"])
def test_no_iteration_revives_a_weight(allocation):
    """A caller that trains between the cuts changes every weight, and so a score's counts."""
    model, alive = network(), None
    for number, power in ((1, 2), (2, -2), (3, 2)):
        draws = generator(number, "iteration")
        for weight in prunable(model).values():
            # Now the wide layers have the largest weights, now the narrow ones.
            weight.data = torch.randn(weight.shape, generator=draws) * weight.shape[0] ** power
        options = {"progress": number / 3, "alive": alive, "generator": draws}
        mask = masks_of(model, "random", allocation, [0.8], **options)[0.8]
        if alive:
            assert all((alive[name] | ~keep).all() for name, keep in mask.items())
        alive = mask
    assert int(flat(alive).sum()) == round(0.2 * len(flat(alive)))


SEEN, LAYOUTS = [], set()


def _watch(model, data, g):
    """Random scores that note which weights were zero when they were asked for."""
    SEEN.append(flat(prunable(model)) == 0)
    LAYOUTS.add(model.conv.weight.stride())
    return {n: torch.rand(w.shape, generator=g) for n, w in prunable(model).items()}


class _Watched(dict):
    """Stands for the registry of scores: one score, without options."""

    def require(self, name, options=()):
        assert name in self and not options

    def offered(self, name, **values):
        return {}


@pytest.mark.parametrize("allocation", ["global", "smart", "erk"])
@pytest.mark.parametrize("structured", [False, True])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_no_round_revives_a_weight_or_moves_one(allocation, structured, layout, monkeypatch):
    monkeypatch.setattr("jackpot.pruning.make_masks.SCORES", _Watched(watch=_watch))
    for fact in ("uses_data", "revives"):
        monkeypatch.setattr(f"jackpot.pruning.make_masks.{fact}", lambda score: False)
    SEEN.clear()
    LAYOUTS.clear()
    model = network(in_channels=3).to(memory_format=layout)
    found = masks_of(model, "watch", allocation, [0.9], rounds=7, structured=structured)[0.9]
    assert len(SEEN) == 7 and not SEEN[0].any()
    # Another layout would be another order of sums in the next round's scores.
    assert {model.conv.weight.stride()} == LAYOUTS
    for earlier, later in zip(SEEN, [*SEEN[1:], ~flat(found)], strict=True):
        assert bool((later | ~earlier).all()) and later.sum() > earlier.sum()
    if not structured:
        total = len(SEEN[0])
        assert int(flat(found).sum()) == round(0.1 * total)


@pytest.mark.parametrize("score", ["random", "snip"])
def test_rounds_of_each_sparsity_start_afresh(score):
    model = network()
    together = masks_of(model, score, sparsities=[0.9, 0.5], rounds=3)
    assert same(together[0.5], masks_of(model, score, sparsities=[0.5], rounds=3)[0.5])


@pytest.mark.parametrize("allocation", ["global", "smart", "uniform", "erk"])
@pytest.mark.parametrize("rounds", [1, 4])
def test_kept_classifier_is_whole_and_counts_in_the_total(allocation, rounds):
    model = network()
    found = masks_of(model, "snip", allocation, [0.3, 0.8], rounds=rounds, keep_classifier=True)
    for sparsity, mask in found.items():
        assert bool(mask["classifier.weight"].all())
        assert int(flat(mask).sum()) == round((1 - sparsity) * len(flat(mask)))
    with pytest.raises(JackpotError, match="classifier"):
        masks_of(model, allocation=allocation, sparsities=[0.99], keep_classifier=True)
    if allocation != "global":  # enough for the classifier, but not one more for every layer
        total, classifier = len(flat(prunable(model))), model.classifier.weight.numel()
        with pytest.raises(JackpotError, match="classifier"):
            masks_of(
                model,
                allocation=allocation,
                sparsities=[1 - (classifier + 2) / total],
                keep_classifier=True,
            )


@pytest.mark.parametrize("allocation", ["global", "smart", "uniform", "erk"])
def test_a_network_that_is_only_its_classifier_is_kept_whole(allocation):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    mask = masks_of(model, allocation=allocation, sparsities=[0.0], keep_classifier=True)[0.0]
    assert bool(mask["1.weight"].all())
    with pytest.raises(JackpotError, match="classifier"):
        masks_of(model, allocation=allocation, sparsities=[0.5], keep_classifier=True)


def test_lottery_ticket_ranks_the_convolutions_together():
    model = network()
    mask = masks_of(model, sparsities=[0.8], keep_classifier=True)[0.8]
    convolutions = {n: w.detach().abs() for n, w in prunable(model).items() if w.dim() == 4}
    kept = torch.cat([convolutions[n][mask[n]] for n in convolutions])
    pruned = torch.cat([convolutions[n][~mask[n]] for n in convolutions])
    assert kept.min() > pruned.max()


def test_unknown_names_options_and_values_are_refused():
    model = network()
    for message, options in {
        "score 'snipp' does not exist": {"score": "snipp"},
        "allocation 'layerwise' does not exist": {"allocation": "layerwise"},
        "snip' has no option temperature": {
            "score": "snip",
            "score_options": {"temperature": 1},
        },
        "smart' has no option power": {
            "allocation": "smart",
            "allocation_options": {"power": 3},
        },
        "global has no option variant": {"allocation_options": {"variant": "su2020"}},
        "fraction removed": {"sparsities": [98]},
        "rounds is 0": {"rounds": 0},
    }.items():
        with pytest.raises(JackpotError, match=message):
            masks_of(model, **options)


def test_a_network_without_a_family_has_no_vgg_rule():
    class Plain(nn.Sequential):
        pass

    model = Plain(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 10))
    mask = masks_of(model, allocation="smart", sparsities=[0.5])[0.5]
    sizes = [w.numel() for w in prunable(model).values()]
    assert [kept for _, _, kept in layer_counts(mask)] == smart_counts(sizes, 0.5, "resnet")
