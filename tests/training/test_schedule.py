"""Learning-rate schedules: milestones, linear decay, and where a rewound training is in them."""

import math

import pytest
import torch

from jackpot.models import build_model
from jackpot.settings import Training
from jackpot.training.batches import DeviceImages
from jackpot.training.engine import train
from jackpot.training.schedule import learning_rate


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
