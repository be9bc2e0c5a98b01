"""The training loop: the optimizer, schedules, batches, masks, and going on after a kill."""

import csv
import json
import math
import os
import random

import pytest
import torch
from torch.nn import functional as F

from jackpot.errors import JackpotError
from jackpot.files.tensors import load_mask, load_tensors, save_mask
from jackpot.models import build_model, load_model, prunable
from jackpot.models.initial import initial_state
from jackpot.pruning.connectivity import effective_counts
from jackpot.randomness import generator
from jackpot.settings import Training
from jackpot.stages.pretrain import pretrain
from jackpot.stages.retrain import retrain
from jackpot.training.batches import DeviceImages, to_device, training_batches
from jackpot.training.engine import train
from jackpot.training.results import Record, RunName
from jackpot.training.resume import ResumeFile
from jackpot.training.schedule import learning_rate
from jackpot.training.sgd import SGD
from tests.support.small import CPU, FAST, RUN, make_data, make_ticket, without_seconds


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
        pretrain(
            tmp_path / "out",
            run=RUN,
            clean=paths["clean"],
            data=paths["clean"],
            initial=paths["init"],
            settings=FAST,
            snapshots=(1, 9),
            device=CPU,
        )


@pytest.mark.parametrize("missed", [None, "multiply"])
def test_a_milestone_is_not_late_by_a_rounding(missed):
    for epochs in (50, 100, 160, 200):
        for percent in range(2, 100):
            exact = percent * epochs / 100
            settings = Training(
                epochs=epochs, milestones=(percent / 100,), missed_milestones=missed
            )
            rates = [learning_rate(settings, epoch) for epoch in range(epochs)]
            first = math.ceil(exact) if missed is None else int(exact)
            assert rates.count(0.1) == min(first, epochs)


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


def test_step_decay_acts_at_its_milestones():
    settings = Training(epochs=160)
    rates = [learning_rate(settings, epoch) for epoch in range(200)]
    assert rates[:80] == [0.1] * 80
    assert rates[80:120] == pytest.approx([0.01] * 40)
    assert rates[120:] == pytest.approx([0.001] * 80)


def test_linear_decay_reaches_zero_at_the_end():
    settings = Training(epochs=10, decay="linear", learning_rate=0.5)
    expected = [0.5 * (10 - e) / 10 for e in range(10)]
    assert [learning_rate(settings, e) for e in range(10)] == pytest.approx(expected)


def test_linear_decay_to_zero_is_a_scheduler_that_steps_before_the_epoch():
    """torch's scheduler, stepped as mlrc2020's LinearLR is: 0.099375 ... 0."""
    epochs = 160
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda e: max(1 - e / epochs, 0))
    expected = []
    for _ in range(epochs):
        optimizer.step()
        scheduler.step()
        expected.append(optimizer.param_groups[0]["lr"])
    assert (expected[0], expected[-1]) == (pytest.approx(0.099375), 0)
    settings = Training(epochs=epochs, decay="linear_to_zero")
    assert [learning_rate(settings, e) for e in range(epochs)] == pytest.approx(expected)
    assert learning_rate(settings, 200) == 0


def released_rates(kind, first_epoch, count, epochs=160, rate=0.1):
    """Both released schedules as what they are: a rate that is kept, and changed when hit."""
    current, rates = rate, []
    preset = {0: rate, int(epochs * 0.5): rate * 0.1, int(epochs * 0.75): rate * 0.01}
    for epoch in range(first_epoch, first_epoch + count):
        if kind == "preset":
            current = preset.get(epoch, current)
        elif epoch in (epochs // 2, epochs * 3 // 4):
            current *= 0.1
        rates.append(current)
    return rates


@pytest.mark.parametrize("kind", ["preset", "multiply"])
@pytest.mark.parametrize("first", [0, 40, 79, 80, 81, 100, 120, 121, 159])
def test_released_schedules_miss_milestones_before_their_first_epoch(kind, first):
    settings, count = Training(missed_milestones=kind), 160
    ours = [learning_rate(settings, first + e, first) for e in range(count)]
    assert ours == pytest.approx(released_rates(kind, first, count))


def test_milestones_before_the_first_epoch_have_acted_by_default():
    settings = Training()
    assert learning_rate(settings, 100, 100) == learning_rate(settings, 100) == 0.1 * 0.1
    missed = {k: Training(missed_milestones=k) for k in ("preset", "multiply")}
    assert {learning_rate(s, 100, 100) for s in missed.values()} == {0.1}
    assert learning_rate(missed["preset"], 120, 100) == pytest.approx(0.001)
    assert learning_rate(missed["multiply"], 120, 100) == pytest.approx(0.01)


def rates_of_training(settings, first_epoch, epochs):
    pixels = torch.zeros(8, 6, 6, 3, dtype=torch.uint8)
    data = DeviceImages(pixels, torch.arange(8), torch.zeros(3), torch.ones(3))
    model = build_model("vgg5", width=2)
    options = {"seed": 0, "epochs": epochs, "first_epoch": first_epoch}
    return [row["lr"] for row in train(model, data, data, settings, **options).history]


def test_a_rewound_training_uses_and_records_the_rates_of_its_schedule():
    settings = Training(epochs=4, milestones=(0.25, 0.75), crop_padding=0)
    assert rates_of_training(settings, 2, 2) == pytest.approx([0.01, 0.001])
    for kind, last in (("preset", 0.001), ("multiply", 0.01)):
        missed = settings.model_copy(update={"missed_milestones": kind})
        assert rates_of_training(missed, 2, 2) == pytest.approx([0.1, last])
        assert rates_of_training(missed, 0, 4) == rates_of_training(settings, 0, 4)


def images_with_positions(count=37, side=6):
    """Every pixel's value tells where it was: crops and flips can be read off."""
    images = torch.arange(1, side * side + 1).reshape(1, side, side, 1).repeat(count, 1, 1, 1)
    zero, one = torch.zeros(1), torch.full((1,), 1 / 255)
    return DeviceImages(images.to(torch.uint8), torch.arange(count), zero, one)


def test_an_epoch_sees_every_image_once_in_an_order_of_its_own():
    data = images_with_positions()
    settings = Training(batch_size=8, crop_padding=0, flip=False)
    orders = []
    for epoch in (0, 1, 0):
        batches = list(training_batches(data, settings, 5, epoch))
        assert [len(labels) for _, labels in batches] == [8, 8, 8, 8, 5]
        orders.append(torch.cat([labels for _, labels in batches]).tolist())
        assert all(torch.equal(i, data.normalise(data.images[y], True)) for i, y in batches)
    assert sorted(orders[0]) == list(range(37))
    assert orders[0] == orders[2] != orders[1]


def cropped(padded, row, column, side, flip):
    crop = padded[row : row + side, column : column + side]
    return crop.flip(1) if flip else crop


def test_crops_and_flips_are_per_image_and_black_at_the_border():
    data, side = images_with_positions(200), 6
    settings = Training(batch_size=200, crop_padding=2, flip=True)
    ((images, _),) = training_batches(data, settings, 0, 0)
    original = torch.arange(1, side * side + 1).reshape(side, side).float()
    padded = F.pad(original, (2, 2, 2, 2))
    seen = set()
    for image in images[:, 0]:
        found = [
            (row, column, flip)
            for row in range(5)
            for column in range(5)
            for flip in (False, True)
            if torch.equal(cropped(padded, row, column, side, flip), image)
        ]
        assert found
        seen.add(found[0])
    assert len(seen) > 40


def test_a_step_can_be_started_in_the_middle_of_an_epoch():
    data = images_with_positions()
    settings = Training(batch_size=8, crop_padding=1)
    whole = list(training_batches(data, settings, 0, 0))
    rest = list(training_batches(data, settings, 0, 0, first_step=3))
    assert len(rest) == 2
    for (a, x), (b, y) in zip(whole[3:], rest, strict=True):
        assert torch.equal(a, b) and torch.equal(x, y)


def test_normalised_images_have_mean_zero_and_variance_one(tmp_path):
    data = make_data(tmp_path / "d.safetensors", channels=3)
    device = to_device(data, "train", CPU)
    images = device.normalise(device.images, True)
    assert images.mean((0, 2, 3)).abs().max() < 1e-5
    assert (images.std((0, 2, 3), correction=0) - 1).abs().max() < 1e-5
    by_hand = (data.train_images.float() / 255 - data.mean.view(1, 3, 1, 1)) / data.std.view(
        1, 3, 1, 1
    )
    assert torch.allclose(images, by_hand, atol=1e-5)


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
    name = RunName("test", "tiny", "vgg5", "dense", "none", 0.0, 0)
    pretrain(
        tmp_path / "pre",
        run=name,
        clean=paths["clean"],
        data=paths["clean"],
        initial=paths["init"],
        settings=FAST,
        snapshots=(0, 1),
        device=CPU,
    )
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
    pretrain(
        tmp_path / "plain",
        run=name,
        clean=paths["clean"],
        data=paths["clean"],
        initial=paths["init"],
        settings=FAST.model_copy(update={"momentum": 0.0}),
        snapshots=(1,),
        device=CPU,
    )
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


def test_divergence_stops_the_run_and_is_no_number(tmp_path):
    paths = make_ticket(tmp_path)
    wild = FAST.model_copy(update={"learning_rate": 1e30, "epochs": 5})
    metrics, history = run(tmp_path, paths, settings=wild)
    assert metrics["diverged"] and metrics["test_accuracy"] is None
    assert len(history) < 5 and history[-1]["test_loss"] == ""


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
