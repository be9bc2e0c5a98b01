"""From a score and an allocation to masks: score once, cut at every sparsity."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from jackpot.errors import JackpotError
from jackpot.files.tensors import Mask, Tensors
from jackpot.models import prunable, seeded
from jackpot.pruning.allocation import GLOBAL, allocate
from jackpot.pruning.counts import density_of, kept_count
from jackpot.pruning.filters import keep_filters
from jackpot.pruning.masks import keep_number
from jackpot.pruning.scores import SCORES, checked_scores

Batch = tuple[torch.Tensor, torch.Tensor]


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
) -> dict[float, Mask]:
    """Prune a model at several sparsities.

    Args:
        model: network whose weights are scored; untouched. Its ``family`` attribute goes to the
            allocation.
        data: pruning batch ``(images, labels)``; None for a score that reads none.
        score: a name in ``SCORES``, or ``"file.py:function"``.
        allocation: ``global``, a name in ``ALLOCATIONS``, or ``"file.py:function"``.
        sparsities: fractions removed, each 0 <= s < 1.
        generator: for scores that draw.
        score_options, allocation_options: keyword arguments of the two functions.
        rounds: 1 scores once for all sparsities. More prune each sparsity in that many rounds on
            the schedule density**(round / rounds), scoring anew with the pruned weights at 0 and
            never reviving one (SynFlow: 100; Tanaka et al. 2020, algorithm 1). Under a per-layer
            allocation every layer follows the schedule to its own density.
        keep_classifier: prune convolutions only, yet count the classifier in the total (su2020's
            lottery ticket).
        structured: prune whole convolution filters (``jackpot.pruning.filters``); the classifier
            stays whole, and counts are met to the nearest filter.
        progress: cut only this far along density**progress, for one of several rounds that a
            caller trains between; ``rounds`` must be 1.
        alive: weights that earlier rounds left; no other is kept.

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
    # A user's score may be careless with the model it is given, so it gets a copy.
    network = copy.deepcopy(model)
    compute = _scorer(score, network, data, generator, score_options)
    pools = {
        sparsity: _pools(
            model, sparsity, allocation, allocation_options or {}, keep_classifier or structured
        )
        for sparsity in sparsities
    }
    if rounds == 1:
        scores = _only(alive, compute()) if alive else compute()
        return {s: _cut(scores, pools[s], progress, structured) for s in sparsities}
    start = generator.get_state()
    masks = {}
    for sparsity in sparsities:
        # Each sparsity starts afresh, so that its mask does not depend on the others asked for.
        generator.set_state(start)
        network.load_state_dict(model.state_dict())
        masks[sparsity] = _iterate(network, compute, pools[sparsity], rounds, structured)
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
        rest, total = budget - sizes[-1], sum(sizes[:-1])
        return [
            _Pool(tuple(names[:-1]), total, rest, rest / total),
            _Pool((names[-1],), sizes[-1], sizes[-1], 1.0),
        ]
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


def _classifier_too_large(sparsity: float, budget: int, size: int) -> JackpotError:
    return JackpotError(
        f"at sparsity {sparsity} {budget} weights stay in all, too few to keep the classifier's "
        f"{size} whole. Lower the sparsity, or prune the classifier too."
    )


def _cut(scores: Tensors, pools: Sequence[_Pool], progress: float, structured: bool) -> Mask:
    keep = keep_filters if structured else keep_number
    mask: Mask = {}
    for pool in pools:
        mask |= keep({name: scores[name] for name in pool.names}, pool.count_at(progress))
    return mask


def _iterate(
    network: nn.Module,
    compute: Callable[[], Tensors],
    pools: Sequence[_Pool],
    rounds: int,
    structured: bool,
) -> Mask:
    """Prune ``network`` (which is changed) round by round, never reviving a weight."""

    def rows(tensor: torch.Tensor) -> torch.Tensor:
        # A row is what is pruned as one: a filter, or a weight.
        return tensor.reshape(len(tensor), -1) if structured else tensor.reshape(-1, 1)

    weights = prunable(network)
    # Numbers of the rows that are left. Only they are ranked, so a pruned one cannot come back,
    # and the sparser the network, the less there is to do.
    left = {n: torch.arange(len(rows(w)), device=w.device) for n, w in weights.items()}
    for done in range(1, rounds + 1):
        scores = {name: rows(score)[left[name]] for name, score in compute().items()}
        kept = _cut(scores, pools, done / rounds, structured)
        for name, weight in weights.items():
            stays = kept[name][:, 0]
            # Not by rows(), which copies where a weight's memory format is another.
            shape = weight.shape[:1] if structured else weight.shape
            weight.data[torch.unravel_index(left[name][~stays], shape)] = 0
            left[name] = left[name][stays]
    mask = {n: torch.zeros(w.shape, dtype=torch.bool, device=w.device) for n, w in weights.items()}
    for name, numbers in left.items():
        rows(mask[name])[numbers] = True
    return mask


def _only(alive: Mask, scores: Tensors) -> Tensors:
    # A kept weight may score as low as a pruned one; below everything, none comes back.
    return {
        name: value.masked_fill(~alive[name].to(value.device), -torch.inf)
        for name, value in scores.items()
    }


def _scorer(
    name: str,
    network: nn.Module,
    data: Batch | None,
    generator: torch.Generator,
    options: Mapping[str, object],
) -> Callable[[], Tensors]:
    function = SCORES[name]
    parameters = inspect.signature(function).parameters.values()
    known = [parameter.name for parameter in parameters]
    any_keyword = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    if not any_keyword and (unknown := sorted(set(options) - set(known))):
        raise JackpotError(f"score {name} has no option {', '.join(unknown)}")
    if "inplace" in known:
        # The network is a copy already, so the score need not make one in every round.
        options = {**options, "inplace": True}

    def compute() -> Tensors:
        # Dropout, and a score that ignores its generator, draw from the global one.
        with seeded(generator.initial_seed()):
            scores = function(network, data, generator, **options)
        return checked_scores(name, scores, prunable(network))

    return compute
