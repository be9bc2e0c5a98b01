"""Masks as the stage writes them under a check of scores, and the job that makes them."""

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.files.tensors import load_mask
from jackpot.models import load_model, prunable
from jackpot.pruning.masks import layer_counts
from jackpot.settings import Pruner, PruningBatch
from jackpot.stages.prune import prune
from jackpot.study import Config, Plan, load_study
from tests.support.small import make_ticket
from tests.support.studies import written

MAGNITUDE = Pruner(score="magnitude")


def masks(paths, out, check, pruner=MAGNITUDE, batch=None, **options):
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
        **options,
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


@pytest.mark.parametrize(
    ("pruner", "reads"),
    [
        (MAGNITUDE, False),
        (Pruner(score="random", allocation="erk"), False),
        (Pruner(score="magnitude", allocation="snip"), True),
    ],
)
def test_who_reads_no_data_needs_no_whole_pruning_batch(tmp_path, pruner, reads):
    """And keeps what is kept where there are images enough."""
    paths = make_ticket(tmp_path)
    few = PruningBatch(samples_per_class=2)
    many = PruningBatch(samples_per_class=2000)
    plain = masks(paths, tmp_path / "few", "none", pruner, few)
    if reads:
        with pytest.raises(JackpotError, match="takes 2000 of every class"):
            masks(paths, tmp_path / "many", "none", pruner, many)
        return
    for one, other in zip(
        plain, masks(paths, tmp_path / "many", "none", pruner, many), strict=True
    ):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_users_check_of_scores_has_options_and_draws_alike_every_time(tmp_path):
    paths = make_ticket(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def noisy(scores, generator, *, noise=0.0):\n"
        "    return {n: s + noise * torch.rand(s.shape, generator=generator)\n"
        "            for n, s in scores.items()}\n"
    )
    own = {"noisy": f"{tmp_path}/mine.py:noisy"}
    plain = masks(paths, tmp_path / "plain", "none")
    same = masks(paths, tmp_path / "same", "noisy", own_checks=own)
    loud = {"own_checks": own, "check_options": {"noise": 9.0}}
    noisy = masks(paths, tmp_path / "noisy", "noisy", **loud)
    again = masks(paths, tmp_path / "again", "noisy", **loud)
    for one, unmoved, moved, repeated in zip(plain, same, noisy, again, strict=True):
        assert layer_counts(one) == layer_counts(unmoved) == layer_counts(moved)
        assert all(torch.equal(one[n], unmoved[n]) for n in one)
        assert all(torch.equal(moved[n], repeated[n]) for n in one)
        assert not all(torch.equal(one[n], moved[n]) for n in one)


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
    given = {k: v for k, v in turned["mask"].job.options.items() if v is not None}
    usual = {k: v for k, v in plain["mask"].job.options.items() if v is not None}
    assert given == {**usual, "check": "inverted"}
    assert turned["mask"].fingerprint != plain["mask"].fingerprint
    made = {p for p in plan.files() if "/masks/" in p}
    assert made == {plain["mask"].path, turned["mask"].path}


def test_inverted_combines_with_what_edits_another_ingredient(tmp_path):
    experiment = {"tickets": ["lr_rewinding"], "seeds": [0], "sparsities": [0.9]}
    checks = [["half_dataset", "inverted"], ["inverted", "redrawn_signs"]]
    path = written(tmp_path, experiments=[{**experiment, "checks": checks}])
    plan = Plan(load_study(path), Config())
    jobs = {r.check: plan.job_of(r) for r in plan.study.runs()}
    half, signs = jobs["half_dataset+inverted"], jobs["inverted+redrawn_signs"]
    assert "/half_dataset+inverted/" in half.inputs["mask"].path
    assert half.inputs["mask"].job.inputs["data"].path.endswith("/half_dataset.safetensors")
    assert "/clean+inverted/" in signs.inputs["mask"].path
    assert signs.inputs["weights"].path == jobs["none"].inputs["weights"].path
    wrong = written(tmp_path, experiments=[{**experiment, "checks": [["inverted", "rearranged"]]}])
    with pytest.raises(JackpotError, match="inverted and rearranged both edit the mask"):
        load_study(wrong)
