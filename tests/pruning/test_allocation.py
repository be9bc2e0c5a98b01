"""Allocations against calculations written from the papers' text, and exactness."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.pruning.allocation import ALLOCATIONS, allocation_names, smart_counts
from jackpot.pruning.counts import density_of, kept_count, whole_counts

quick = settings(max_examples=60, deadline=None)
PER_LAYER = [
    "ascending",
    "balanced",
    "cubic",
    "erk",
    "linear",
    "pyramidal",
    "smart",
    "uniform",
]
SPARSITIES = [0.4, 0.6, 0.8, 0.9, 0.95, 0.98]


def counts_of(name, sizes, density, *, shapes=(), family="vgg", **options):
    """What a function of allocation returns when it is given what it has parameters for."""
    given = ALLOCATIONS.offered(name, shapes=shapes, family=family)
    return ALLOCATIONS[name](sizes, density, **given, **options)


def layers(name, classes=10, **options):
    with torch.device("meta"):
        weights = prunable(build_model(name, num_classes=classes, **options))
    return [w.numel() for w in weights.values()], [tuple(w.shape) for w in weights.values()]


def by_hand(sizes, sparsity, ratio, vgg):
    """Shares in floating point, step by step as the text says."""
    budget = round((1 - sparsity) * sum(sizes)) - 0.3 * sizes[-1]
    raw = [ratio(layer) / (layer**2 if vgg else 1) for layer in range(1, len(sizes))]
    scale = budget / sum(r * size for r, size in zip(raw, sizes, strict=False))
    density = [r * scale for r in raw]
    for i in range(len(density)):
        if density[i] > 1:
            surplus = (density[i] - 1) * sizes[i]
            density[i] = 1
            if i + 1 < len(density):
                density[i + 1] += surplus / sizes[i + 1]
    return [d * size for d, size in zip(density, sizes, strict=False)] + [0.3 * sizes[-1]]


NETWORKS = {
    "vgg": layers("vgg19")[0],
    "resnet": layers("resnet32", width=32)[0],
}


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize(
    ("family", "variant", "top"),
    [
        ("vgg", "su2020", 17),
        ("vgg", "mlrc2020", 19),
        ("resnet", "su2020", 34),
        ("resnet", "mlrc2020", 33),
    ],
)
def test_smart_counts_follow_the_text(family, variant, top, sparsity):
    sizes = NETWORKS[family]
    counts = smart_counts(sizes, sparsity, family=family, variant=variant)
    expected = by_hand(
        sizes, sparsity, lambda layer: (top - layer + 1) ** 2 + (top - layer + 1), family == "vgg"
    )
    assert sum(counts) == round((1 - sparsity) * sum(sizes))
    assert counts[-1] == 0.3 * sizes[-1]
    assert max(abs(c - e) for c, e in zip(counts, expected, strict=True)) < 1


def test_smart_variants_and_families_differ():
    sizes = NETWORKS["vgg"]
    found = {
        (family, variant): tuple(smart_counts(sizes, 0.9, family, variant))
        for family in ("vgg", "resnet")
        for variant in ("su2020", "mlrc2020")
    }
    assert len(set(found.values())) == 4
    assert tuple(smart_counts(sizes, 0.9)) == found["vgg", "su2020"]


@pytest.mark.parametrize(
    ("name", "sizes", "family", "expected"),
    [
        # Half of 200 stay, 12 in the classifier of 40; 12 : 6 -> scale 88/(720+600) = 1/15.
        ("smart", [60, 100, 40], "resnet", [48, 40, 12]),
        # 12 : 6/4 -> 72.8 in a layer of 60: the surplus of 12.8 moves on.
        ("smart", [60, 100, 40], "vgg", [60, 28, 12]),
        # 3 : 2 -> scale 88/(180+200).
        ("linear", [60, 100, 40], "resnet", [42, 46, 12]),
        # 27 : 8 -> scale 88/(1620+800).
        ("cubic", [60, 100, 40], "resnet", [59, 29, 12]),
        # 27 : 8/4 -> the first layer is full.
        ("cubic", [60, 100, 40], "vgg", [60, 28, 12]),
        # 2 : 6 -> 31.4 and 56.6.
        ("ascending", [100, 60, 40], "resnet", [31, 57, 12]),
        ("ascending", [100, 60, 40], "vgg", [31, 57, 12]),
        # 2 : 6 -> 51 in a layer of 50: what runs off the end goes to the layer before.
        ("ascending", [100, 50, 50], "resnet", [35, 50, 15]),
        # 35.5 in a layer of 30.
        ("ascending", [100, 30, 50], "resnet", [45, 30, 15]),
        # 88 over 160: 0.55 each.
        ("uniform", [60, 100, 40], "vgg", [33, 55, 12]),
    ],
)
def test_worked_examples(name, sizes, family, expected):
    assert counts_of(name, sizes, 0.5, family=family) == expected


def test_classifier_density():
    sizes = [60, 100, 40]
    assert ALLOCATIONS["uniform"](sizes, 0.5, classifier_density=None) == [30, 50, 20]
    assert ALLOCATIONS["uniform"](sizes, 0.5, classifier_density=1.0)[-1] == 40
    # 12 : 6 : 2 -> scale 100/1400.
    smart = ALLOCATIONS["smart"](sizes, 0.5, family="resnet", classifier_density=None)
    assert smart == [51, 43, 6]


def test_classifier_gives_way_when_the_budget_is_smaller_than_its_share():
    sizes = [200, 300, 500]
    # 0.3 * 500 = 150 is more than the 20 weights in all: the classifier keeps 2 % like the net.
    counts = smart_counts(sizes, 0.98, "resnet")
    assert counts[-1] == 10 and sum(counts) == 20 and min(counts) >= 1
    # Of 8 weights it has its 6 while one stays for each of the others, and no longer.
    assert smart_counts([10, 10, 20], 0.8, "resnet")[-1] == 6
    assert smart_counts([10, 10, 20], 0.825, "resnet")[-1] == 4


def test_classifier_takes_what_full_layers_cannot_hold():
    assert smart_counts([10, 10, 100], 0.2, "resnet") == [10, 10, 76]
    assert smart_counts([10, 10, 100], 0.0, "vgg") == [10, 10, 100]


def test_erk_follows_its_formula_and_fills_small_layers():
    sizes, shapes = layers("resnet20")
    for density in (0.02, 0.1, 0.5, 0.9):
        counts = ALLOCATIONS["erk"](sizes, density, shapes=shapes)
        scale = [
            c / s / (sum(shape) / s)
            for c, s, shape in zip(counts, sizes, shapes, strict=True)
            if c < s
        ]
        # One scale for every layer that is not full, to within the rounding of its count.
        for c, s, shape in zip(counts, sizes, shapes, strict=True):
            median = sorted(scale)[len(scale) // 2]
            assert abs(min(median * sum(shape), s) - c) < 2
        assert sum(counts) == round(density * sum(sizes))
    assert any(c == s for c, s in zip(counts, sizes, strict=True))


def test_erk_worked_example():
    # Sums of dimensions 2+1+1+1 = 5, 2+8+3+3 = 16 and 3+2 = 5 over 2, 144 and 6 weights.
    shapes = [(2, 1, 1, 1), (2, 8, 3, 3), (3, 2)]
    # 30 of 152: scale 30/26 would put 5.8 in the layer of 2; then 28/21 puts 6.7 in that of 6.
    assert ALLOCATIONS["erk"]([2, 144, 6], 30 / 152, shapes=shapes) == [2, 22, 6]
    # With the classifier apart at 0.5: 3 there, 2 in the first, the rest in the second.
    apart = ALLOCATIONS["erk"]([2, 144, 6], 30 / 152, shapes=shapes, classifier_density=0.5)
    assert apart == [2, 25, 3]


sizes_strategy = st.lists(st.integers(1, 5000), min_size=1, max_size=12)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(PER_LAYER),
    sizes=sizes_strategy,
    density=st.floats(0, 1),
    family=st.sampled_from(["vgg", "resnet"]),
    classifier_density=st.sampled_from([0.3, 1.0, None]),
)
def test_counts_are_exact_and_fit(name, sizes, density, family, classifier_density):
    shapes = [(size, 1) for size in sizes]
    counts = counts_of(
        name, sizes, density, shapes=shapes, family=family, classifier_density=classifier_density
    )
    assert sum(counts) == kept_count(density, sum(sizes))
    assert len(counts) == len(sizes)
    assert all(isinstance(c, int) for c in counts)
    assert all(0 <= c <= size for c, size in zip(counts, sizes, strict=True))


def level(sizes, budget):
    """The height to which water fills columns of these sizes: bisection, in floating point."""
    low, high = 0.0, float(max(sizes))
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if sum(min(s, middle) for s in sizes) < budget else (low, middle)
    return high


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("family", NETWORKS)
def test_balanced_layers_keep_the_same_number_or_all(family, sparsity):
    sizes = NETWORKS[family]
    budget = round((1 - sparsity) * sum(sizes))
    counts = ALLOCATIONS["balanced"](sizes, density_of(sparsity))
    assert sum(counts) == budget
    water = level(sizes, budget)
    assert max(abs(c - min(s, water)) for c, s in zip(counts, sizes, strict=True)) <= 1


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("family", NETWORKS)
def test_pyramidal_densities_are_powers_of_a_root_of_the_budget(family, sparsity):
    """The published way: a root of the polynomial whose coefficients are the layers' sizes."""
    sizes = NETWORKS[family]
    budget = round((1 - sparsity) * sum(sizes))
    roots = np.roots([*sizes[::-1], -budget])
    (root,) = [float(r.real) for r in roots if abs(r.imag) < 1e-9 and 0 < r.real < 1]
    counts = ALLOCATIONS["pyramidal"](sizes, density_of(sparsity))
    assert sum(counts) == budget
    expected = [root**layer * size for layer, size in enumerate(sizes, 1)]
    assert max(abs(c - e) for c, e in zip(counts, expected, strict=True)) < 1.5


def test_pyramidal_keeps_everything_where_nothing_is_pruned():
    assert ALLOCATIONS["pyramidal"]([7, 3, 5], 1.0) == [7, 3, 5]
    assert ALLOCATIONS["pyramidal"]([7, 3, 5], 0.0) == [0, 0, 0]


def test_erk_plus_keeps_the_last_layer_whole_and_the_others_by_erk():
    # Without the plus, ERK keeps part of a classifier of 100 classes.
    sizes, shapes = layers("vgg19", classes=100)
    plus = ALLOCATIONS["erk"](sizes, 0.01, shapes=shapes, classifier_density=1.0)
    assert plus[-1] == sizes[-1] and sum(plus) == round(0.01 * sum(sizes))
    left = (sum(plus) - sizes[-1]) / sum(sizes[:-1])
    rest = ALLOCATIONS["erk"](sizes[:-1], left, shapes=shapes[:-1])
    assert max(abs(a - b) for a, b in zip(plus[:-1], rest, strict=True)) <= 1
    assert plus[-1] > ALLOCATIONS["erk"](sizes, 0.01, shapes=shapes)[-1]


@quick
@given(sizes=sizes_strategy, parts=st.data())
def test_whole_counts_round_each_share_up_or_down(sizes, parts):
    from fractions import Fraction

    budget = parts.draw(st.integers(0, sum(sizes)))
    ideal = [Fraction(budget * size, sum(sizes)) for size in sizes]
    counts = whole_counts(ideal, budget)
    assert sum(counts) == budget
    assert all(abs(c - i) < 1 for c, i in zip(counts, ideal, strict=True))


def test_largest_remainders_come_first_and_ties_go_to_the_lower_index():
    from fractions import Fraction

    thirds = [Fraction(10, 3), Fraction(8, 3), Fraction(3)]
    assert whole_counts(thirds, 9) == [3, 3, 3]
    halves = [Fraction(3, 2), Fraction(3, 2), Fraction(2)]
    assert whole_counts(halves, 5) == [2, 1, 2]


def test_counts_do_not_hang_on_binary_noise():
    assert density_of(0.98) == 0.02
    assert kept_count(1 - 0.98, 20_024_000) == 400_480
    assert kept_count(density_of(0.9), 10) == 1
    # Half to even, as Python's round.
    assert [kept_count(0.5, total) for total in (1, 3, 5, 7)] == [0, 2, 2, 4]
    for sparsity in SPARSITIES:
        for total in (1_855_584, 20_024_000, 20_070_080):
            thousandths = round(1000 * sparsity)
            whole, rest = divmod((1000 - thousandths) * total, 1000)
            assert rest != 500 and kept_count(density_of(sparsity), total) == whole + (rest > 500)


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, 98, float("nan")])
def test_impossible_sparsities_are_refused(sparsity):
    with pytest.raises(JackpotError, match="fraction removed"):
        smart_counts([10, 10, 10], sparsity)


def test_unknown_words_are_refused():
    with pytest.raises(JackpotError, match="densenet"):
        smart_counts([10, 10, 10], 0.5, family="densenet")
    with pytest.raises(JackpotError, match="su2021"):
        smart_counts([10, 10, 10], 0.5, variant="su2021")
    with pytest.raises(JackpotError, match="fewer than 40 layers"):
        smart_counts([100] * 40, 0.5, family="resnet", variant="mlrc2020")
    # Its ratios for VGG end at 19 layers: a 20th must have a density of its own.
    twenty = {"density": 0.5, "family": "vgg", "variant": "mlrc2020"}
    assert sum(ALLOCATIONS["smart"]([100] * 20, **twenty)) == 1000
    with pytest.raises(JackpotError, match="fewer than 20 layers"):
        ALLOCATIONS["smart"]([100] * 20, classifier_density=None, **twenty)
    with pytest.raises(JackpotError, match="positive"):
        smart_counts([10, 0, 10], 0.5)
    with pytest.raises(JackpotError, match=r"Allowed: global, force, .*ascending"):
        ALLOCATIONS["smarter"]


def test_global_is_a_name_without_a_file():
    assert allocation_names() == sorted([*PER_LAYER, "global"])
    assert set(ALLOCATIONS) == set(PER_LAYER)
