"""Iterative magnitude pruning: the schedule, what every round starts from, and going on."""

import json

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.files.tensors import load_mask, load_tensors
from jackpot.models import build_model, load_model, model_with_state, prunable
from jackpot.pruning.make_masks import make_masks
from jackpot.settings import Pruner, PruningBatch, Training
from jackpot.stages.prune import cut, prune
from jackpot.stages.prune_iteratively import prune_iteratively
from jackpot.study import load_study
from jackpot.training.engine import train
from jackpot.training.results import load_splits
from jackpot.training.resume import ResumeFile
from tests.support.scripts import succeed
from tests.support.small import make_dense, make_ticket
from tests.support.snake import Clone
from tests.support.studies import written

CPU = torch.device("cpu")
FAST = Training(epochs=2, batch_size=32, crop_padding=1, flip=False)
BATCH = PruningBatch(samples_per_class=2)
THREE = Pruner(score="magnitude", weights="trained", iterations=3)


@pytest.fixture
def paths(tmp_path):
    made = make_ticket(tmp_path)
    make_dense(tmp_path / "pre", made)
    return {**made, "trained": tmp_path / "pre" / "trained.safetensors"}


def iterate(paths, out, pruner=THREE, sparsity=0.9, **options):
    prune_iteratively(
        out,
        clean=paths["clean"],
        data=paths["clean"],
        initial=paths["init"],
        weights=paths["trained"],
        pruner=pruner,
        batch=BATCH,
        training=FAST,
        sparsity=sparsity,
        seed=0,
        device=CPU,
        **options,
    )
    return load_mask(out / f"sparsity{sparsity:g}.safetensors")[0]


def top(scores, count):
    """The ``count`` largest over all layers, by an ordinary sort."""
    flat = torch.cat([score.reshape(-1) for score in scores.values()])
    chosen = torch.zeros(len(flat), dtype=torch.bool)
    chosen[flat.argsort(descending=True)[:count]] = True
    parts = chosen.split([score.numel() for score in scores.values()])
    return {n: p.reshape(s.shape) for p, (n, s) in zip(parts, scores.items(), strict=True)}


def by_hand(paths, density, rounds):
    """Frankle & Carbin's algorithm: train, cut a fixed fraction of what is left, restart."""
    start, metadata = load_tensors(paths["init"])
    splits = load_splits(paths["clean"], paths["clean"], CPU)
    weights, mask = prunable(load_model(paths["trained"])), None
    total = sum(weight.numel() for weight in weights.values())
    masks = []
    for number in range(1, rounds + 1):
        if mask is not None:
            copies = {name: tensor.clone() for name, tensor in start.items()}
            model = model_with_state(metadata["model"], copies)
            model = model.to(memory_format=torch.channels_last)
            train(model, *splits, FAST, seed=0, epochs=FAST.epochs, mask=mask)
            weights = prunable(model)
        scores = {name: weight.detach().abs() for name, weight in weights.items()}
        if mask is not None:
            scores = {name: torch.where(mask[name], s, -1.0) for name, s in scores.items()}
        mask = top(scores, round(total * density ** (number / rounds)))
        masks.append(mask)
    return masks


def test_rounds_are_those_of_the_lottery_ticket(paths, tmp_path):
    expected = by_hand(paths, 0.1, 3)
    found = iterate(paths, tmp_path / "masks")
    assert all(torch.equal(found[name], expected[-1][name]) for name in found)
    kept = [sum(int(m.sum()) for m in mask.values()) for mask in expected]
    assert kept[1] / kept[0] == pytest.approx(0.1 ** (1 / 3), abs=0.01)
    assert all((expected[0][name] | ~found[name]).all() for name in found)


def test_every_cut_asks_the_score_in_eval_mode(paths, tmp_path):
    (tmp_path / "mode.py").write_text(
        "USES_DATA = False\n"
        "def mode(model, data, generator):\n"
        "    assert not model.training\n"
        "    return {n: p.abs() for n, p in model.named_parameters() if p.dim() > 1}\n"
    )
    score = f"{tmp_path / 'mode.py'}:mode"
    own = iterate(paths, tmp_path / "own", THREE.model_copy(update={"score": score}))
    ours = iterate(paths, tmp_path / "ours")
    assert all(torch.equal(own[name], ours[name]) for name in ours)


def test_a_later_cut_keeps_none_that_an_earlier_one_removed():
    model = build_model("vgg5", width=4)
    draws = torch.Generator().manual_seed(3)
    alive = {n: torch.rand(w.shape, generator=draws) < 0.3 for n, w in prunable(model).items()}
    options = {"score": "random", "allocation": "global", "sparsities": [0.8], "alive": alive}
    mask = make_masks(model, None, generator=draws, **options)[0.8]
    total = sum(keep.numel() for keep in mask.values())
    assert sum(int(keep.sum()) for keep in mask.values()) == round(0.2 * total)
    assert all((alive[name] | ~keep).all() for name, keep in mask.items())


def test_training_between_the_cuts_changes_the_mask(paths, tmp_path):
    prune(
        tmp_path / "once",
        data=paths["clean"],
        weights=paths["trained"],
        pruner=THREE.model_copy(update={"iterations": 1}),
        batch=BATCH,
        sparsities=[0.9],
        seed=0,
        device=CPU,
    )
    once, _ = load_mask(tmp_path / "once" / "sparsity0.9.safetensors")
    thrice = iterate(paths, tmp_path / "thrice")
    count = [sum(int(m.sum()) for m in mask.values()) for mask in (once, thrice)]
    assert count[0] == count[1]
    assert any(not torch.equal(once[name], thrice[name]) for name in once)


@pytest.mark.parametrize("stop_in", [2, 3])
def test_an_interrupted_pruning_goes_on_to_the_same_mask(paths, tmp_path, monkeypatch, stop_in):
    whole = iterate(paths, tmp_path / "whole")
    trainings = []

    def interrupted(*args, **options):
        trainings.append(options["mask"])
        if len(trainings) == stop_in - 1:
            raise KeyboardInterrupt
        return train(*args, **options)

    monkeypatch.setattr("jackpot.stages.prune_iteratively.train", interrupted)
    resume = tmp_path / "resume" / "file.safetensors"
    with pytest.raises(KeyboardInterrupt):
        iterate(paths, tmp_path / "parts", resume=ResumeFile(resume, ""))
    assert resume.with_suffix(".mask").exists()
    again = []
    monkeypatch.setattr(
        "jackpot.stages.prune_iteratively.train", lambda *a, **k: again.append(1) or train(*a, **k)
    )
    parts = iterate(paths, tmp_path / "parts", resume=ResumeFile(resume, ""))
    assert len(again) == 4 - stop_in
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert not list(resume.parent.iterdir())


@pytest.fixture
def stopped(paths, tmp_path, monkeypatch):
    """The resume file of a pruning that stopped after its first cut."""
    resume = tmp_path / "resume" / "file.safetensors"
    with monkeypatch.context() as patched:
        patched.setattr("jackpot.stages.prune_iteratively.train", lambda *a, **k: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            iterate(paths, tmp_path / "a", resume=ResumeFile(resume, ""))
    return ResumeFile(resume, "")


def test_cuts_of_other_settings_are_not_gone_on_from(paths, tmp_path, stopped):
    other = iterate(paths, tmp_path / "b", sparsity=0.5, resume=stopped)
    plain = iterate(paths, tmp_path / "c", sparsity=0.5)
    assert all(torch.equal(other[name], plain[name]) for name in plain)


def test_cuts_of_another_pytorch_are_not_gone_on_from(stopped, paths, tmp_path, monkeypatch):
    stage, first_cuts = "jackpot.stages.prune_iteratively", []
    monkeypatch.setattr(f"{stage}.versions", lambda: {"torch": "9.9"})
    monkeypatch.setattr(
        f"{stage}.cut", lambda *a, **k: first_cuts.append(k["alive"] is None) or cut(*a, **k)
    )
    iterate(paths, tmp_path / "b", resume=stopped)
    assert first_cuts == [True, False, False]


def test_a_mask_that_another_job_has_just_made_is_not_made_again(paths, tmp_path, warm):
    """That of a Snakemake which died; the next one's job has waited for it."""
    inputs = {"clean": "clean", "data": "clean", "initial": "init", "weights": "trained"}
    words = [word for name, file in inputs.items() for word in (f"--{name}", paths[file])]
    words += ["--out", tmp_path / "out", "--sparsity", 0.9, "--score", "magnitude"]
    words += ["--iterations", 2, "--epochs", 1, "--resume-file", tmp_path / "r.safetensors"]
    mask = tmp_path / "out" / "sparsity0.9.safetensors"

    def trains(*fingerprint):
        return "round 2 of 2" in succeed(
            "prune_iteratively", *words, *fingerprint, environment=warm
        )

    today = ("--fingerprint", "today")
    assert trains(*today) and not trains(*today)
    assert trains("--fingerprint", "other") and trains() and trains(*today)
    mask.write_bytes(mask.read_bytes()[:-1])
    assert trains(*today) and load_mask(mask)
    (tmp_path / "r@another.mask").write_text("")
    assert not trains(*today) and not list(tmp_path.glob("r@*"))


def test_layers_follow_an_allocation_to_their_own_counts(paths, tmp_path):
    pruner = THREE.model_copy(update={"allocation": "uniform"})
    mask = iterate(paths, tmp_path / "masks", pruner)
    densities = [keep.float().mean().item() for keep in mask.values()]
    assert densities[-1] == pytest.approx(0.3, abs=0.02)
    assert max(densities[:-1]) - min(densities[:-1]) < 0.03
    total = sum(keep.numel() for keep in mask.values())
    assert sum(int(keep.sum()) for keep in mask.values()) == round(0.1 * total)


def test_iterations_need_trained_weights(tmp_path):
    pruners = {"mine": {"score": "snip", "iterations": 3}}
    with pytest.raises(JackpotError, match=r"pruners.mine: iterations train between cuts"):
        load_study(written(tmp_path, pruners=pruners))


@pytest.mark.workflow
def test_the_workflow_trains_iterative_tickets_and_their_checks(tmp_path):
    tickets = ["lottery", "lottery_iterative", "random_structured", "random_dense_classifier"]
    cells = {"tickets": tickets[:2], "checks": ["half_dataset"], "sparsities": [0.9]}
    others = {"tickets": tickets[2:], "sparsities": [0.9]}
    study = {
        "pruners": {"magnitude_iterative": THREE.model_dump()},
        "training": {"epochs": 2, "crop_padding": 1},
        "experiments": [{**cells, "seeds": [0]}, {**others, "seeds": [0]}],
    }
    clone = Clone(tmp_path, study=study)
    runs = [f"{run.path}/metrics.json" for run in load_study(tmp_path / "study.yaml").runs()]
    clone.make(*runs, cores=2)
    found = {}
    for path in runs:
        metrics = json.loads((clone.root / path).read_text())
        found[metrics["ticket"], metrics["check"]] = metrics
    for check in ("none", "half_dataset"):
        once, many = (found[ticket, check] for ticket in tickets[:2])
        assert once["density"] == many["density"] == pytest.approx(0.1, abs=0.001)
        # Both start from the same weights and see the same batches: the masks differ.
        assert once["weights_sha256"] != many["weights_sha256"]
    dense = found["random_dense_classifier", "none"]["layers"][-1]
    assert dense["kept"] == dense["total"]
    structured = found["random_structured", "none"]["layers"]
    assert all(layer["kept"] % 9 == 0 for layer in structured[:-1])
