"""The training loop: the optimizer, schedules, batches, masks, and going on after a kill."""

import copy
import csv
import json
import math
import os
import random
import signal

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.files.tensors import load_mask, load_tensors, save_mask
from jackpot.models import build_model, load_model, prunable
from jackpot.models.initial import initial_state
from jackpot.pruning.connectivity import effective_counts
from jackpot.randomness import generator
from jackpot.settings import Training
from jackpot.stages.retrain import retrain
from jackpot.training.batches import DeviceImages, training_batches
from jackpot.training.engine import TrainingLoop, train
from jackpot.training.results import Record, RunName
from jackpot.training.resume import ResumeFile
from jackpot.training.schedule import learning_rate
from jackpot.training.sgd import SGD
from tests.support.small import CPU, FAST, RUN, make_dense, make_ticket, without_seconds


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_pytorchs_bit_for_bit(momentum, nesterov):
    if nesterov and not momentum:
        pytest.skip("PyTorch's Nesterov needs momentum")
    draws = torch.Generator().manual_seed(3)
    start = [torch.randn(5, 4, generator=draws), torch.randn(7, generator=draws)]
    ours = {str(i): torch.nn.Parameter(t.clone()) for i, t in enumerate(start)}
    theirs = [torch.nn.Parameter(t.clone()) for t in start]
    one = SGD(ours, momentum=momentum, weight_decay=0.01, nesterov=nesterov)
    other = torch.optim.SGD(theirs, 1.0, momentum, weight_decay=0.01, nesterov=nesterov)
    for step in range(12):
        lr = 0.1 / (1 + step)
        other.param_groups[0]["lr"] = lr
        for a, b in zip(ours.values(), theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=draws)
            b.grad = a.grad.clone()
        if step in (0, 5):
            # What takes no part in a step has no gradient, as under stochastic depth.
            ours["0"].grad = theirs[0].grad = None
        one.step(lr)
        other.step()
        assert all(torch.equal(a, b) for a, b in zip(ours.values(), theirs, strict=True))


def test_pruned_weights_stay_zero_against_momentum_and_decay():
    draws = torch.Generator().manual_seed(4)
    weight = torch.nn.Parameter(torch.randn(6, 5, generator=draws))
    keep = torch.rand(6, 5, generator=draws) < 0.4
    optimizer = SGD({"w": weight}, momentum=0.9, weight_decay=0.1, mask={"w": keep})
    for _ in range(5):
        assert torch.equal(weight != 0, keep)
        weight.grad = torch.randn(weight.shape, generator=draws)
        optimizer.step(0.1)
    assert torch.equal(weight != 0, keep)


def test_a_resume_file_is_bound_to_code_and_to_what_the_stage_decides(tmp_path):
    found = set()
    for code, others in [("a", {"snapshots": (1,)}), ("a", {"snapshots": (1, 2)}), ("b", {})]:
        file = ResumeFile(tmp_path / "resume", "")
        Record(RUN, FAST, CPU, {}, "", code, file).bind_resume_file(**others)
        found.add(file.fingerprint)
    assert len(found) == 3


def test_a_snapshot_of_an_epoch_that_is_not_trained_is_refused(tmp_path):
    paths = make_ticket(tmp_path)
    with pytest.raises(JackpotError, match=r"snapshots \[9\]: the training has epochs 0 to"):
        make_dense(tmp_path / "out", paths, snapshots=(1, 9))


def some_images(count, draws):
    images = torch.randint(256, (count, 8, 8, 1), generator=draws, dtype=torch.uint8)
    labels = torch.randint(3, (count,), generator=draws)
    return DeviceImages(images, labels, torch.full((1,), 0.5), torch.full((1,), 0.3))


def test_the_history_is_that_of_a_plain_loop():
    """Batches of unequal sizes, and more test images than are evaluated at once."""
    draws = torch.Generator().manual_seed(5)
    data, test = some_images(70, draws), some_images(1030, draws)
    settings = Training(epochs=4, batch_size=32, crop_padding=1, decay="linear")
    model = build_model("vgg5", 3, 1, 8, width=4)
    model.load_state_dict(initial_state(model.state_dict(), draws))
    mask = {n: torch.rand(w.shape, generator=draws) < 0.5 for n, w in prunable(model).items()}
    plain = copy.deepcopy(model)
    found = train(model, data, test, settings, seed=6, epochs=3, first_epoch=1, mask=mask)

    def prune():
        for name, weight in prunable(plain).items():
            weight.data *= mask[name]

    prune()
    optimizer = torch.optim.SGD(plain.parameters(), 1.0, 0.9, weight_decay=settings.weight_decay)
    inputs = test.normalise(test.images, True)
    for row, epoch in zip(found.history, (1, 2, 3), strict=True):
        loss, correct = 0.0, 0
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, epoch)
        for images, labels in training_batches(data, settings, 6, epoch):
            logits = plain.train()(images)
            error = torch.nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            prune()
            loss, correct = loss + len(labels) * error.item(), correct + _hits(logits, labels)
        with torch.no_grad():
            logits = plain.eval()(inputs)
        assert row["epoch"] == epoch + 1 and row["lr"] == learning_rate(settings, epoch)
        assert row["train_loss"] == pytest.approx(loss / 70, rel=1e-5)
        assert row["train_accuracy"] == pytest.approx(100 * correct / 70)
        test_loss = torch.nn.functional.cross_entropy(logits, test.labels)
        assert row["test_loss"] == pytest.approx(float(test_loss), rel=1e-5)
        assert row["test_accuracy"] == pytest.approx(100 * _hits(logits, test.labels) / 1030)
    assert not found.diverged and found.images == 3 * 70 and found.resumes == 0
    assert found.seconds == pytest.approx(sum(r["seconds"] for r in found.history), abs=0.01)


def _hits(logits, labels):
    return sum(int(row.argmax()) == int(label) for row, label in zip(logits, labels, strict=True))


def test_a_last_batch_of_one_image_is_refused_where_it_would_fail():
    model = build_model("vgg11", 10, 1, 16, width=2)
    images = torch.zeros(9, 16, 16, 1, dtype=torch.uint8)
    data = DeviceImages(images, torch.zeros(9, dtype=torch.int64), torch.zeros(1), torch.ones(1))
    for size in (1, 4, 8):
        with pytest.raises(JackpotError, match=f"9 training images in batches of {size} leave"):
            train(model, data, data, Training(batch_size=size), seed=0, epochs=1)
    train(model, data, data, Training(batch_size=5), seed=0, epochs=1)
    train(
        build_model("resnet8", 10, 1, width=2), data, data, Training(batch_size=8), seed=0, epochs=1
    )


def run(folder, paths, out="out", name=RUN, settings=FAST, **options):
    retrain(
        folder / out,
        run=name,
        clean=paths["clean"],
        weights=options.pop("weights", paths["init"]),
        mask=paths["mask"],
        settings=settings,
        epochs=options.pop("epochs", settings.epochs),
        first_epoch=options.pop("first_epoch", 0),
        device=CPU,
        keep_weights=True,
        **options,
    )
    metrics = json.loads((folder / out / "metrics.json").read_text())
    with open(folder / out / "history.csv") as file:
        history = list(csv.DictReader(file))
    return metrics, history


def test_a_run_learns_keeps_its_mask_and_says_what_it_did(tmp_path):
    paths = make_ticket(tmp_path)
    metrics, history = run(tmp_path, paths, settings=FAST.model_copy(update={"epochs": 12}))
    assert metrics["test_accuracy"] > 60
    assert metrics["test_accuracy"] == float(history[-1]["test_accuracy"])
    assert metrics["best_test_accuracy"] == max(float(row["test_accuracy"]) for row in history)
    mask, _ = load_mask(paths["mask"])
    weights = prunable(load_model(tmp_path / "out" / "weights.safetensors"))
    assert all(not w[~mask[name]].any() for name, w in weights.items())
    kept = sum(int(m.sum()) for m in mask.values())
    assert metrics["density"] == kept / sum(m.numel() for m in mask.values())
    assert [layer["kept"] for layer in metrics["layers"]] == [int(m.sum()) for m in mask.values()]
    model = load_model(paths["init"])
    effective = effective_counts(model, mask, (1, 8, 8))
    assert [layer["effective"] for layer in metrics["layers"]] == effective
    total = sum(m.numel() for m in mask.values())
    assert metrics["effective_density"] == sum(effective) / total < metrics["density"]
    assert list(metrics).index("effective_density") > list(metrics).index("versions")
    assert metrics["epochs"] == len(history) == 12 and not metrics["collapsed"]


def test_test_accuracy_is_that_of_the_saved_weights(tmp_path):
    paths = make_ticket(tmp_path)
    metrics, _ = run(tmp_path, paths)
    model = load_model(tmp_path / "out" / "weights.safetensors")
    tensors, _ = load_tensors(paths["clean"])
    images = (tensors["test_images"].float() / 255 - tensors["mean"]) / tensors["std"]
    right = (model(images).argmax(1) == tensors["test_labels"]).float().mean()
    assert metrics["test_accuracy"] == pytest.approx(100 * right.item())


def test_the_same_call_gives_the_same_bits_and_another_seed_does_not(tmp_path):
    paths = make_ticket(tmp_path)
    one, first = run(tmp_path, paths, "a")
    two, second = run(tmp_path, paths, "b")
    assert one["weights_sha256"] == two["weights_sha256"]
    assert without_seconds(first) == without_seconds(second)
    other, _ = run(
        tmp_path, paths, "c", name=RunName("test", "tiny", "vgg5", "snip", "none", 0.7, 1)
    )
    assert other["weights_sha256"] != one["weights_sha256"]


def test_bfloat16_and_layouts_are_other_runs(tmp_path):
    paths = make_ticket(tmp_path)
    plain, _ = run(tmp_path, paths, "a")
    for number, change in enumerate(({"precision": "bfloat16"}, {"channels_last": False})):
        other, _ = run(tmp_path, paths, str(number), settings=FAST.model_copy(update=change))
        assert math.isfinite(other["test_loss"])
        if "precision" in change:
            assert other["weights_sha256"] != plain["weights_sha256"]


def test_rewinding_continues_the_schedule_and_the_order(tmp_path):
    """From the pretrained epoch 1, all weights kept, retraining is pretraining to the bit."""
    paths = make_ticket(tmp_path, density=1.0)
    make_dense(tmp_path / "pre", paths, snapshots=(0, 1))
    start, _ = load_tensors(tmp_path / "pre" / "epoch0.safetensors")
    init, _ = load_tensors(paths["init"])
    assert all(torch.equal(start[name], init[name]) for name in init)
    metrics, history = run(
        tmp_path,
        paths,
        weights=tmp_path / "pre" / "epoch1.safetensors",
        epochs=2,
        first_epoch=1,
        settings=FAST.model_copy(update={"momentum": 0.0}),
    )
    assert [row["epoch"] for row in history] == ["2", "3"]
    assert [float(row["lr"]) for row in history] == pytest.approx(
        [learning_rate(FAST, 1), learning_rate(FAST, 2)]
    )
    make_dense(tmp_path / "plain", paths, FAST.model_copy(update={"momentum": 0.0}), snapshots=(1,))
    whole = json.loads((tmp_path / "plain" / "metrics.json").read_text())
    metrics, _ = run(
        tmp_path,
        paths,
        weights=tmp_path / "plain" / "epoch1.safetensors",
        epochs=2,
        first_epoch=1,
        settings=FAST.model_copy(update={"momentum": 0.0}),
    )
    assert metrics["weights_sha256"] == whole["weights_sha256"]


@pytest.mark.parametrize("check", ["rearranged", "shuffled_weights", "reinitialized"])
def test_checks_change_the_run_and_keep_every_layers_count(tmp_path, check):
    paths = make_ticket(tmp_path)
    plain, _ = run(tmp_path, paths, "plain")
    name = RunName("test", "tiny", "vgg5", "snip", check, 0.7, 0)
    spoiled, _ = run(tmp_path, paths, "spoiled", name=name)
    again, _ = run(tmp_path, paths, "again", name=name)
    assert spoiled["weights_sha256"] == again["weights_sha256"] != plain["weights_sha256"]
    kept = [[layer["kept"] for layer in result["layers"]] for result in (spoiled, plain)]
    assert kept[0] == kept[1]


def test_weights_that_a_check_exchanges_are_exchanged(tmp_path):
    """The network holds the tensors that the check was given, or views of them."""
    (tmp_path / "mine.py").write_text(
        "def turned(weights, mask, generator):\n"
        "    a, b = 'blocks.0.conv1.weight', 'blocks.0.conv2.weight'\n"
        "    return {**weights, a: weights[b].transpose(2, 3), b: weights[a]}\n"
    )
    paths = make_ticket(tmp_path, architecture="resnet8")
    mask, _ = load_mask(paths["mask"])
    save_mask(paths["mask"], {name: torch.ones_like(keep) for name, keep in mask.items()})
    start, _ = load_tensors(paths["init"])
    name = RunName("test", "tiny", "resnet8", "snip", "turned", 0.0, 0)
    still = FAST.model_copy(update={"learning_rate": 1e-30, "weight_decay": 0.0, "epochs": 1})
    own = {"turned": f"{tmp_path / 'mine.py'}:turned"}
    run(tmp_path, paths, name=name, settings=still, own_checks=own)
    trained, _ = load_tensors(tmp_path / "out" / "weights.safetensors")
    one, other = (start[f"blocks.0.conv{i}.weight"] for i in (1, 2))
    assert torch.equal(trained["blocks.0.conv1.weight"], other.transpose(2, 3))
    assert torch.equal(trained["blocks.0.conv2.weight"], one)


def test_divergence_stops_the_run_and_is_no_number(tmp_path):
    paths = make_ticket(tmp_path)
    wild = FAST.model_copy(update={"learning_rate": 1e30, "epochs": 5})
    metrics, history = run(tmp_path, paths, settings=wild)
    assert metrics["diverged"] and metrics["test_accuracy"] is None
    assert len(history) < 5 and history[-1]["test_loss"] == ""


def test_a_diverged_training_that_is_told_to_stop_has_ended(tmp_path, monkeypatch):
    """Going on, it would pass for one that has not diverged."""
    paths = make_ticket(tmp_path)
    wild = FAST.model_copy(update={"learning_rate": 1e30, "epochs": 5})
    plain, _ = run(tmp_path, paths, settings=wild)
    end_epoch = TrainingLoop.end_epoch

    def told_to_stop(loop, *arguments):
        row = end_epoch(loop, *arguments)
        if loop.outcome.diverged:
            os.kill(os.getpid(), signal.SIGTERM)
        return row

    monkeypatch.setattr(TrainingLoop, "end_epoch", told_to_stop)
    resume = ResumeFile(tmp_path / "resume.safetensors", "f", minutes=None)
    stopped, _ = run(tmp_path, paths, settings=wild, resume=resume)
    assert stopped["diverged"] and stopped["epochs"] == plain["epochs"]


def test_a_mask_that_was_never_made_has_no_density_and_no_empty_layer(tmp_path):
    paths = make_ticket(tmp_path)
    mask, about = load_mask(paths["mask"])
    save_mask(paths["mask"], {n: k & False for n, k in mask.items()}, {**about, "diverged": True})
    metrics, history = run(tmp_path, paths)
    assert metrics["diverged"] and not metrics["collapsed"] and not history
    assert metrics["density"] is None and metrics["layers"] == []


def test_a_collapsed_layer_is_flagged(tmp_path):
    paths = make_ticket(tmp_path)
    mask, _ = load_mask(paths["mask"])
    mask["features.4.weight"][:] = False
    save_mask(paths["mask"], mask)
    metrics, _ = run(tmp_path, paths)
    assert metrics["collapsed"] and not metrics["diverged"]
    assert metrics["effective_density"] == 0


def test_a_mask_of_another_model_is_refused(tmp_path):
    paths = make_ticket(tmp_path)
    (tmp_path / "other").mkdir()
    other = make_ticket(tmp_path / "other", width=5)
    with pytest.raises(JackpotError, match=r"mask.safetensors does not fit .*init.safetensors"):
        run(tmp_path, {**paths, "mask": other["mask"]})


def test_initial_weights_are_paired_by_seed_and_drawn_as_said():
    state = build_model("resnet20", width=16).state_dict()
    one = initial_state(state, generator(1, "initialise"))
    two = initial_state(state, generator(1, "initialise"))
    other = initial_state(state, generator(2, "initialise"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["conv.weight"], other["conv.weight"])
    weight = one["blocks.8.conv2.weight"]
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.02)
    assert one["classifier.weight"].std().item() == pytest.approx(0.01, rel=0.1)


def test_no_global_seed_decides_anything(tmp_path):
    paths = make_ticket(tmp_path)
    torch.manual_seed(0)
    one, _ = run(tmp_path, paths, "a")
    torch.manual_seed(1)
    random.seed(os.getpid())
    two, _ = run(tmp_path, paths, "b")
    assert one["weights_sha256"] == two["weights_sha256"]
