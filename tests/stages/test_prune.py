"""Masks as the stage writes them under a check of scores, and the job that makes them."""

import pytest
import torch

from jackpot.files.tensors import load_mask
from jackpot.models import load_model, prunable
from jackpot.pruning.masks import layer_counts
from jackpot.settings import Pruner, PruningBatch
from jackpot.stages.prune import prune
from jackpot.study import Config, Plan, load_study
from tests.support.small import make_ticket
from tests.support.studies import written

MAGNITUDE = Pruner(score="magnitude")


def masks(paths, out, check, pruner=MAGNITUDE, batch=None):
    prune(
        out,
        data=paths["clean"],
        weights=paths["init"],
        pruner=pruner,
        batch=batch or PruningBatch(samples_per_class=2),
        sparsities=[0.5, 0.9],
        seed=0,
        device=torch.device("cpu"),
        check=check,
    )
    return [load_mask(out / f"sparsity{s}.safetensors")[0] for s in (0.5, 0.9)]


def test_inverted_masks_keep_the_smallest_weights_of_every_layer(tmp_path):
    paths = make_ticket(tmp_path)
    plain = masks(paths, tmp_path / "plain", "none")
    turned = masks(paths, tmp_path / "turned", "inverted")
    weights = prunable(load_model(paths["init"]))
    for one, other in zip(plain, turned, strict=True):
        assert layer_counts(one) == layer_counts(other)
        for name, keep in other.items():
            sizes = weights[name].detach().abs()
            assert keep.all() or not keep.any() or sizes[keep].max() <= sizes[~keep].min()


def test_draws_reach_the_score_whose_counts_are_taken(tmp_path):
    paths = make_ticket(tmp_path)
    batch = PruningBatch(samples_per_class=2, draws=3)
    ratios = Pruner(score="random", allocation="snip")
    for one, other in zip(
        masks(paths, tmp_path / "snip", "none", Pruner(score="snip"), batch),
        masks(paths, tmp_path / "random", "none", ratios, batch),
        strict=True,
    ):
        assert layer_counts(one) == layer_counts(other)


@pytest.mark.parametrize("ticket", ["snip", "lr_rewinding"])
def test_an_inverted_run_has_a_mask_of_its_own_and_nothing_else(tmp_path, ticket):
    experiment = {"tickets": [ticket], "checks": ["inverted", "rearranged"], "seeds": [0]}
    path = written(tmp_path, experiments=[{**experiment, "sparsities": [0.9]}])
    plan = Plan(load_study(path), Config())
    jobs = {r.check: plan.job_of(r) for r in plan.study.runs()}
    plain, turned = jobs["none"].inputs, jobs["inverted"].inputs
    assert jobs["rearranged"].inputs["mask"].path == plain["mask"].path
    assert turned["mask"].path == plain["mask"].path.replace("/clean/", "/clean+inverted/")
    assert {k: turned[k].path for k in ("clean", "weights")} == {
        k: plain[k].path for k in ("clean", "weights")
    }
    assert turned["mask"].job.options == {**plain["mask"].job.options, "check": "inverted"}
    assert turned["mask"].fingerprint != plain["mask"].fingerprint
    made = {p for p in plan.files() if "/masks/" in p}
    assert made == {plain["mask"].path, turned["mask"].path}
