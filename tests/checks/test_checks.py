"""Each check spoils one ingredient, all of it, and nothing else."""

import copy
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jackpot.checks import CHECKS, Ticket, version_of_data
from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.models.initial import initial_weights
from jackpot.pruning.masks import attach, keep_top, layer_counts
from jackpot.randomness import generator
from tests.support.pruning import same

quick = settings(max_examples=25, deadline=None)
NAMES = [
    "none",
    "corrupted_data",
    "half_dataset",
    "random_labels",
    "random_pixels",
    "inverted",
    "rearranged",
    "redrawn_magnitudes",
    "redrawn_signs",
    "reinitialized",
    "shuffled_weights",
]
SPOILS = dict(
    zip(NAMES, ["nothing", *["data"] * 4, "scores", "mask", *["weights"] * 4], strict=True)
)


def data(count=40, classes=4, dtype=torch.uint8):
    g = generator(0, "checks")
    images = torch.rand(count, 3, 5, 4, generator=g)
    images = (images * 255).to(dtype) if dtype == torch.uint8 else images.to(dtype)
    return images, torch.randint(classes, (count,), generator=g)


def ticket(seed=0, density=0.4):
    model = build_model("resnet8", width=4)
    g = generator(seed, "ticket")
    weights = {
        name: torch.randn(t.shape, generator=g) if t.is_floating_point() else t.clone()
        for name, t in model.state_dict().items()
    }
    scores = {name: torch.rand(w.shape, generator=g) for name, w in prunable(model).items()}
    return weights, keep_top(scores, density)


def test_there_are_eleven_checks_with_questions():
    assert list(CHECKS) == NAMES
    assert {name: check.spoils for name, check in CHECKS.items()} == SPOILS
    assert {check.name for check in CHECKS.values()} == set(NAMES)
    assert all("?" in check.question for check in CHECKS.values())
    assert {version_of_data(name) for name in NAMES} == {"clean", *NAMES[1:5]}


@pytest.mark.parametrize("name", NAMES)
def test_exactly_one_ingredient_changes_and_no_input_is_written_to(name):
    check = CHECKS[name]
    (images, labels), (weights, mask) = data(), ticket()
    originals = copy.deepcopy((images, labels, weights, mask))
    spoiled = check.data((images, labels), generator(1))
    ranked = {name: weights[name] for name in mask}
    changed_scores = check.scores(ranked, generator(1))
    changed_mask = check.mask(mask, generator(1))
    changed_weights = check.weights(weights, mask, generator(1))
    assert torch.equal(images, originals[0]) and torch.equal(labels, originals[1])
    assert same(weights, originals[2]) and same(mask, originals[3])
    untouched = torch.equal(spoiled[1], labels) and torch.equal(spoiled[0], images)
    assert untouched == (check.spoils != "data")
    assert same(changed_scores, ranked) == (check.spoils != "scores")
    assert same(changed_mask, mask) == (check.spoils != "mask")
    assert same(changed_weights, weights) == (check.spoils != "weights")
    assert list(changed_weights) == list(weights)
    assert all(changed_weights[k].dtype == weights[k].dtype for k in weights)


@pytest.mark.parametrize("name", [name for name in NAMES[1:] if name != "inverted"])
def test_edits_depend_on_their_generator_alone(name):
    check, (weights, mask) = CHECKS[name], ticket()

    def edited(seed):
        torch.manual_seed(torch.seed() % 1000)
        g = generator(seed, name)
        return {
            "data": lambda: dict(enumerate(check.data(data(), g))),
            "mask": lambda: check.mask(mask, g),
            "weights": lambda: check.weights(weights, mask, g),
        }[check.spoils]()

    assert same(edited(1), edited(1))
    assert not same(edited(1), edited(2))


def test_random_labels_are_uniform_over_all_classes_and_leave_images():
    images, labels = torch.rand(20_000, 1, 1, 1), torch.zeros(20_000, dtype=torch.long)
    labels[:100] = 9
    same_images, drawn = CHECKS["random_labels"].data((images, labels), generator(0))
    assert torch.equal(same_images, images) and drawn.dtype == labels.dtype
    counts = drawn.bincount(minlength=10)
    assert len(counts) == 10 and bool(((counts - 2000).abs() < 250).all())
    more = CHECKS["random_labels"].data((images, labels), generator(0), classes=12)[1]
    assert int(more.max()) == 11


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["random_pixels", "corrupted_data"])
def test_pixels_are_permuted_in_each_image_over_all_channels(name, dtype):
    images, labels = data(dtype=dtype)
    images = torch.arange(60).reshape(1, 3, 5, 4).expand(40, 3, 5, 4).to(dtype) + labels.reshape(
        -1, 1, 1, 1
    ).to(dtype)
    moved, new = CHECKS[name].data((images, labels), generator(0))
    assert moved.dtype == dtype and moved.shape == images.shape
    assert torch.equal(moved.flatten(1).sort(1).values, images.flatten(1).sort(1).values)
    orders = (moved - labels.reshape(-1, 1, 1, 1).to(dtype)).flatten(1)
    assert len(torch.unique(orders, dim=0)) == 40, "every image has a permutation of its own"
    # Values cross rows and channels: none of the narrower scopes would do.
    first = (moved[:, 0] - labels.reshape(-1, 1, 1).to(dtype)).flatten()
    assert len(torch.unique(first)) == 60
    assert torch.equal(new, labels) == (name == "random_pixels")


def test_rows_scope_permutes_whole_rows_across_channels():
    images, labels = data(dtype=torch.float64)
    moved = CHECKS["random_pixels"].data((images, labels), generator(0), scope="rows")[0]
    crossed = apart = shifted = False
    for before, after in zip(images, moved, strict=True):
        rows = {tuple(row): i for i, row in enumerate(before.reshape(15, 4).tolist())}
        order = [rows[tuple(row)] for row in after.reshape(15, 4).tolist()]
        assert sorted(order) == list(range(15))
        crossed |= any(i // 5 != j // 5 for i, j in enumerate(order))
        apart |= len({i // 5 - j // 5 for i, j in enumerate(order)}) > 1
        shifted |= any(i % 5 != j % 5 for i, j in enumerate(order))
    assert crossed and apart and shifted


def test_rows_and_columns_scope_is_one_grid_permutation_for_all_channels():
    images, labels = data(dtype=torch.float64)
    moved = CHECKS["random_pixels"].data((images, labels), generator(0), scope="rows_and_columns")[
        0
    ]
    orders = []
    for before, after in zip(images, moved, strict=True):
        place = {float(v): divmod(i, 4) for i, v in enumerate(before[0].reshape(-1))}
        rows = [place[float(after[0, y, 0])][0] for y in range(5)]
        columns = [place[float(after[0, 0, x])][1] for x in range(4)]
        assert sorted(rows) == list(range(5)) and sorted(columns) == list(range(4))
        expected = torch.stack([before[:, [y] * 4, columns] for y in rows], dim=1)
        assert torch.equal(after, expected)
        orders.append((tuple(rows), tuple(columns)))
    # An order of its own for every image, of its rows and of its columns.
    assert len({rows for rows, _ in orders}) > 10
    assert len({columns for _, columns in orders}) > 10


def test_corrupted_data_takes_a_scope_too():
    images, labels = data(dtype=torch.float64)
    moved = CHECKS["corrupted_data"].data((images, labels), generator(0), scope="rows")[0]
    rows = images.reshape(40, 15, 4).sum(2).sort(1).values
    assert torch.allclose(moved.reshape(40, 15, 4).sum(2).sort(1).values, rows)


def test_half_dataset_is_balanced_and_in_order():
    labels = torch.tensor([0] * 10 + [1] * 7 + [2] * 1 + [3] * 4)
    labels = labels[torch.randperm(22, generator=generator(3))]
    images = torch.arange(22).reshape(22, 1, 1, 1)
    half, half_labels = CHECKS["half_dataset"].data((images, labels), generator(0))
    chosen = half.flatten()
    assert half_labels.bincount(minlength=4).tolist() == [5, 3, 0, 2]
    assert torch.equal(chosen, chosen.sort().values) and len(chosen.unique()) == 10
    assert torch.equal(half_labels, labels[chosen])


@quick
@given(seed=st.integers(0, 1000), density=st.floats(0.01, 0.99))
def test_rearranged_keeps_every_layers_count(seed, density):
    _, mask = ticket(seed, density)
    moved = CHECKS["rearranged"].mask(mask, generator(seed))
    assert layer_counts(moved) == layer_counts(mask)
    assert all(moved[n].shape == m.shape and moved[n].dtype == torch.bool for n, m in mask.items())


def test_rearranged_places_weights_uniformly():
    mask = {"w": torch.tensor([[True, False, False, False]])}
    g = generator(0)
    places = [int(CHECKS["rearranged"].mask(mask, g)["w"].int().argmax()) for _ in range(2000)]
    assert all(abs(places.count(i) - 500) < 100 for i in range(4))


@quick
@given(seed=st.integers(0, 1000), density=st.floats(0.01, 0.99))
def test_shuffled_weights_permutes_the_kept_weights_in_place(seed, density):
    weights, mask = ticket(seed, density)
    shuffled = CHECKS["shuffled_weights"].weights(weights, mask, generator(seed))
    for name, weight in weights.items():
        if name not in mask:
            assert torch.equal(shuffled[name], weight)
            continue
        keep = mask[name]
        assert torch.equal(shuffled[name][~keep], weight[~keep])
        assert torch.equal(shuffled[name][keep].sort().values, weight[keep].sort().values)
        if keep.sum() > 20:
            assert (shuffled[name][keep] != weight[keep]).float().mean() > 0.5


def test_shuffled_weights_of_scope_layer_moves_pruned_weights_too():
    weights, mask = ticket()
    shuffled = CHECKS["shuffled_weights"].weights(weights, mask, generator(0), scope="layer")
    for name, keep in mask.items():
        whole = weights[name].reshape(-1).sort().values
        assert torch.equal(shuffled[name].reshape(-1).sort().values, whole)
        assert not torch.equal(
            shuffled[name][keep].sort().values, weights[name][keep].sort().values
        )


@pytest.mark.parametrize("scope", ["kept", "layer"])
def test_shuffled_weights_lose_and_revive_nothing_once_masked(scope):
    weights, mask = ticket()
    model = build_model("resnet8", width=4)
    model.load_state_dict(
        CHECKS["shuffled_weights"].weights(weights, mask, generator(0), scope=scope)
    )
    attach(model, mask)
    for name, keep in mask.items():
        weight = model.get_submodule(name.rpartition(".")[0]).weight
        assert torch.equal(weight != 0, keep)


def test_reinitialized_weights_are_fresh_and_have_the_initial_distribution():
    model = build_model("vgg11", width=16)
    state = {n: t + 1 if t.is_floating_point() else t for n, t in model.state_dict().items()}
    mask = keep_top({n: w.detach().abs() for n, w in prunable(model).items()}, 0.5)
    fresh = CHECKS["reinitialized"].weights(state, mask, generator(0))
    for name in mask:
        assert not (fresh[name] == state[name]).any()
        assert abs(float(fresh[name].mean())) < 0.05
    widest = fresh["features.25.weight"]
    assert widest.shape == (128, 128, 3, 3)
    assert float(widest.std()) == pytest.approx((2 / (9 * 128)) ** 0.5, rel=0.05)


def test_new_weights_are_drawn_as_the_networks_own_were():
    description = {"name": "vgg11", "width": 16}
    state, first = build_model(**description).state_dict(), "features.0.weight"
    mask = {first: torch.ones(16, 3, 3, 3, dtype=torch.bool)}
    magnitudes = CHECKS["redrawn_magnitudes"]
    check = CHECKS["reinitialized"]
    plain = check.weights(state, {}, generator(0))[first]
    drawn = {}
    for initial in ("fan_out", "fan_in"):
        fresh = partial(initial_weights, {**description, "initial": initial})
        drawn[initial] = check.weights(state, {}, generator(0), fresh=fresh)[first]
        found = magnitudes.weights(state, mask, generator(0), fresh=fresh)[first]
        assert torch.equal(found.abs(), drawn[initial].abs())
        mixed = check.ticket(Ticket({}, state), generator(1), generator(0), fresh=fresh)
        assert torch.equal(mixed.weights[first], drawn[initial])
    # 16 filters on 3 channels: sqrt(2 / (9 * 3)) in place of sqrt(2 / (9 * 16)).
    torch.testing.assert_close(drawn["fan_in"], drawn["fan_out"] * (16 / 3) ** 0.5)
    assert torch.equal(plain, drawn["fan_out"])


def test_inverted_turns_every_order_round():
    g = generator(0, "scores")
    scores = {"a": torch.randn(3, 4, generator=g), "b": torch.rand(7, generator=g).double()}
    found = CHECKS["inverted"].scores(scores, generator(1))
    for name, values in scores.items():
        flat = values.reshape(-1).tolist()
        ascending = sorted(range(len(flat)), key=flat.__getitem__)
        lowest_first = found[name].reshape(-1).sort(descending=True, stable=True).indices
        assert lowest_first.tolist() == ascending
        assert found[name].dtype == values.dtype and found[name].shape == values.shape


def test_redrawn_magnitudes_are_those_of_new_weights_under_the_old_signs():
    weights, mask = ticket()
    weights[next(iter(mask))][0] = 0.0
    found = CHECKS["redrawn_magnitudes"].weights(weights, mask, generator(3))
    fresh = CHECKS["reinitialized"].weights(weights, mask, generator(3))
    for name, value in found.items():
        if name not in mask:
            assert torch.equal(value, weights[name])
            continue
        for new, old, drawn in zip(
            value.reshape(-1).tolist(),
            weights[name].reshape(-1).tolist(),
            fresh[name].reshape(-1).tolist(),
            strict=True,
        ):
            assert new == (abs(drawn) if old >= 0 else -abs(drawn))


def test_redrawn_signs_are_fair_and_leave_the_magnitudes():
    weights, mask = ticket()
    found = CHECKS["redrawn_signs"].weights(weights, mask, generator(3))
    flips, count = 0, 0
    for name, value in found.items():
        if name not in mask:
            assert torch.equal(value, weights[name])
            continue
        assert torch.equal(value.abs(), weights[name].abs())
        changed = value.sign() != weights[name].sign()
        flips, count = flips + int(changed.sum()), count + value.numel()
        # The new sign does not hang on the old one.
        up, down = changed[weights[name] > 0], changed[weights[name] < 0]
        if value.numel() > 500:
            assert abs(float(up.float().mean()) - float(down.float().mean())) < 0.15
    assert count > 4000 and abs(flips - count / 2) < 4 * (count / 4) ** 0.5


def test_unknown_scopes_are_refused():
    with pytest.raises(JackpotError, match="known: image, rows, rows_and_columns"):
        CHECKS["random_pixels"].data(data(), generator(0), scope="pixels")
    with pytest.raises(JackpotError, match="known: kept, layer"):
        CHECKS["shuffled_weights"].weights(*ticket(), generator(0), scope="all")
    with pytest.raises(JackpotError, match="known: none"):
        CHECKS["random_labels"].data(data(), generator(0), scope="image")
