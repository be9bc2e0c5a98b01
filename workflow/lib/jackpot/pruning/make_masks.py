"""From a score and an allocation to masks: score once, cut at every sparsity."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from jackpot.errors import JackpotError
from jackpot.files.tensors import Mask, Tensors
from jackpot.models import prunable
from jackpot.pruning.allocation import GLOBAL, allocate
from jackpot.pruning.batch import Batch
from jackpot.pruning.counts import density_of, kept_count
from jackpot.pruning.filters import keep_filters
from jackpot.pruning.masks import keep_number, layer_counts
from jackpot.pruning.scores import SCORES, checked_scores, revives, uses_data
from jackpot.randomness import seeded
from jackpot.registry import is_own

Edit = Callable[[Tensors], Tensors]


def make_masks(
    model: nn.Module,
    data: Batch | None,
    *,
    score: str,
    allocation: str,
    sparsities: Sequence[float],
    generator: torch.Generator,
    score_options: Mapping[str, object] | None = None,
    allocation_options: Mapping[str, object] | None = None,
    rounds: int = 1,
    keep_classifier: bool = False,
    structured: bool = False,
    progress: float = 1.0,
    alive: Mask | None = None,
    edit: Edit | None = None,
) -> dict[float, Mask]:
    """Prune a model at several sparsities.

    Args:
        model: network whose weights are scored; untouched. Its ``family`` attribute goes to the
            allocation.
        data: pruning batch ``(images, labels)``; None for a score that reads none.
        score: a name in ``SCORES``, or ``"file.py:function"``.
        allocation: ``global``, a name in ``ALLOCATIONS``, ``"file.py:function"``, or a name in
            ``SCORES``: every layer keeps as many weights as that score leaves it under ``global``,
            in as many rounds; ``allocation_options`` are then its own.
        sparsities: fractions removed, each 0 <= s < 1.
        generator: for scores that draw.
        score_options, allocation_options: keyword arguments of the two functions.
        rounds: 1 scores once for all sparsities. More prune each sparsity in that many rounds on
            the schedule density**(round / rounds), scoring anew with the pruned weights at 0
            (SynFlow: 100; Tanaka et al. 2020, algorithm 1). None comes back, unless the score's
            file says ``REVIVES``. Under a per-layer allocation every layer follows the schedule to
            its own density.
        keep_classifier: keep the last layer whole, yet count it in the total (su2020's lottery
            ticket).
        structured: prune whole convolution filters (``jackpot.pruning.filters``); the classifier
            stays whole, and counts are met to the nearest filter.
        progress: cut only this far along density**progress, for one of several rounds that a
            caller trains between; meant for ``rounds`` of 1.
        alive: weights that earlier rounds of such a caller left; they are kept before any other.
        edit: what a check makes of the scores. Every layer keeps as many weights as without it,
            the best by the edited scores (of whole filters where ``structured``).

    Returns:
        sparsity -> mask over every prunable weight, on the weights' device.

    Raises:
        JackpotError: impossible sparsity, unknown name or option, or scores of the wrong form.
    """
    if rounds < 1:
        raise JackpotError(f"rounds is {rounds}; at least 1 is needed")
    score_options = dict(score_options or {})
    if structured and score == "random":
        score_options["per_filter"] = True
    keep_classifier = keep_classifier or structured
    if alive:
        alive = {name: alive[name].to(weight.device) for name, weight in prunable(model).items()}
    if allocation in SCORES:
        counted = make_masks(
            model,
            data,
            score=allocation,
            allocation=GLOBAL,
            sparsities=sparsities,
            generator=generator,
            score_options=allocation_options,
            rounds=rounds,
            keep_classifier=keep_classifier,
            progress=progress,
            alive=alive,
        )
        progress = 1.0
        pools = {s: _layers(mask) for s, mask in counted.items()}
    else:
        options = allocation_options or {}
        pools = {s: _pools(model, s, allocation, options, keep_classifier) for s in sparsities}
    network = copy.deepcopy(model)
    compute = _Scorer(score, network, data, generator, score_options)
    if rounds == 1:
        scores = _only(alive, compute(alive)) if alive else compute()
        masks = {s: _cut(scores, pools[s], progress, structured) for s in sparsities}
        if edit:
            masks = {s: _cut(scores, _layers(masks[s]), 1, structured, edit) for s in sparsities}
        return masks
    start = generator.get_state()
    masks = {}

    def iterate(pools: Sequence[_Pool], edit: Edit | None = None) -> Mask:
        # Each sparsity starts afresh, so that its mask does not depend on the others asked for.
        generator.set_state(start)
        network.load_state_dict(model.state_dict())
        return _iterate(network, compute, pools, rounds, structured, edit)

    for sparsity in sparsities:
        mask = iterate(pools[sparsity])
        masks[sparsity] = iterate(_layers(mask), edit) if edit else mask
    return masks


@dataclass(frozen=True)
class _Pool:
    """Layers that compete for ``count`` weights: all of them, or one alone."""

    names: tuple[str, ...]
    total: int
    count: int
    density: float

    def count_at(self, progress: float) -> int:
        """Weights that stay after the fraction ``progress`` of the rounds."""
        return self.count if progress == 1 else kept_count(self.density**progress, self.total)


def _pools(
    model: nn.Module,
    sparsity: float,
    allocation: str,
    options: Mapping[str, object],
    keep_classifier: bool,
) -> list[_Pool]:
    weights = prunable(model)
    names, sizes = list(weights), [weight.numel() for weight in weights.values()]
    density = density_of(sparsity)
    budget = kept_count(density, sum(sizes))
    if keep_classifier and budget < sizes[-1]:
        raise _classifier_too_large(sparsity, budget, sizes[-1])
    if allocation == GLOBAL:
        if options:
            raise JackpotError(f"allocation global has no option {', '.join(sorted(options))}")
        if not keep_classifier:
            return [_Pool(tuple(names), sum(sizes), budget, density)]
        whole = _Pool((names[-1],), sizes[-1], sizes[-1], 1.0)
        if len(names) == 1:
            return [whole]
        rest, total = budget - sizes[-1], sum(sizes[:-1])
        return [_Pool(tuple(names[:-1]), total, rest, rest / total), whole]
    if keep_classifier:
        options = {**options, "classifier_density": 1.0}
    counts = allocate(
        allocation,
        sizes,
        density,
        budget=budget,
        shapes=[tuple(weight.shape) for weight in weights.values()],
        # Only VGG has a rule of its own, so a network that names no family counts as the other.
        family=getattr(model, "family", "resnet"),
        options=options,
    )
    if keep_classifier and counts[-1] != sizes[-1]:
        raise _classifier_too_large(sparsity, budget, sizes[-1])
    return [
        _Pool((name,), size, count, count / size)
        for name, size, count in zip(names, sizes, counts, strict=True)
    ]


def _layers(mask: Mask) -> list[_Pool]:
    """Every layer alone, with the count that it has in ``mask``."""
    return [
        _Pool((name,), total, count, count / total) for name, total, count in layer_counts(mask)
    ]


def _classifier_too_large(sparsity: float, budget: int, size: int) -> JackpotError:
    return JackpotError(
        f"at sparsity {sparsity} {budget} weights stay in all, too few to keep the classifier's "
        f"{size} whole. Lower the sparsity, or prune the classifier too."
    )


def _cut(
    scores: Tensors,
    pools: Sequence[_Pool],
    progress: float,
    structured: bool,
    edit: Edit | None = None,
) -> Mask:
    keep = partial(keep_filters, edit=edit) if structured else keep_number
    if edit and not structured:
        # Copies: the same scores are cut at other sparsities.
        scores = edit({name: layer.clone() for name, layer in scores.items()})
    mask: Mask = {}
    for pool in pools:
        mask |= keep({name: scores[name] for name in pool.names}, pool.count_at(progress))
    return mask


def _iterate(
    network: nn.Module,
    compute: "_Scorer",
    pools: Sequence[_Pool],
    rounds: int,
    structured: bool,
    edit: Edit | None,
) -> Mask:
    """Prune ``network`` round by round; it is changed, unless the score is told what is left."""

    def rows(tensor: torch.Tensor) -> torch.Tensor:
        # A row is what is pruned as one: a filter, or a weight.
        return tensor.reshape(len(tensor), -1) if structured else tensor.reshape(-1, 1)

    def mask_of(left: Tensors) -> Mask:
        mask = {
            name: torch.zeros(weight.shape, dtype=torch.bool, device=weight.device)
            for name, weight in weights.items()
        }
        for name, numbers in left.items():
            rows(mask[name])[numbers] = True
        return mask

    weights = prunable(network)
    # Numbers of the rows that are left. Only they are ranked, so a pruned one cannot come back,
    # and the sparser the network, the less there is to do.
    left = {n: torch.arange(len(rows(w)), device=w.device) for n, w in weights.items()}
    everything, alive = left, None
    for done in range(1, rounds + 1):
        ranked = everything if compute.revives else left
        scores = {name: rows(score)[ranked[name]] for name, score in compute(alive).items()}
        kept = _cut(scores, pools, done / rounds, structured, edit)
        left = {name: numbers[kept[name][:, 0]] for name, numbers in ranked.items()}
        if compute.takes_alive:
            alive = mask_of(left)
            continue
        for name, weight in weights.items():
            # Not by rows(), which copies where a weight's memory format is another.
            shape = weight.shape[:1] if structured else weight.shape
            gone = ranked[name][~kept[name][:, 0]]
            weight.data[torch.unravel_index(gone, shape)] = 0
    return mask_of(left)


def _only(alive: Mask, scores: Tensors) -> Tensors:
    # A kept weight may score as low as a pruned one; below everything, none comes back.
    return {name: value.masked_fill(~alive[name], -torch.inf) for name, value in scores.items()}


class _Scorer:
    """A score of one network, asked once a round.

    Attributes:
        takes_alive: the score is told what is left and given the dense network; any other score
            gets the network with the pruned weights at 0.
        revives: pruned weights may come back.
    """

    def __init__(
        self,
        name: str,
        network: nn.Module,
        data: Batch | None,
        generator: torch.Generator,
        options: Mapping[str, object],
    ):
        SCORES.require(name, options)
        if data is not None and not uses_data(name):
            # Whoever says that no value depends on the data is held to it; shapes it may read.
            data = tuple(torch.zeros_like(part) for part in data)
        # The network is a copy already, so the score need not make one in every round.
        offered = SCORES.offered(name, inplace=True, alive=None)
        self.takes_alive = offered.pop("alive", True) is None
        self.revives = revives(name)
        # A user's may be careless with what it is given: gradients, statistics, weights.
        self._copies = is_own(name) and not offered
        self._name, self._network, self._seed = name, network, generator.initial_seed()
        self._given = (data, generator)
        self._score = partial(SCORES[name], **options, **offered)

    def __call__(self, alive: Mask | None = None) -> Tensors:
        told = {"alive": alive} if self.takes_alive else {}
        # Dropout, and a score that ignores its generator, draw from the global ones.
        with seeded(self._seed):
            network = copy.deepcopy(self._network) if self._copies else self._network
            scores = self._score(network, *self._given, **told)
        return checked_scores(self._name, scores, prunable(self._network))
