"""Training batches: order, crops, flips and normalisation."""

import pytest
import torch
from scipy.stats import chisquare
from torch.nn import functional as F

from jackpot.settings import Training
from jackpot.training.batches import DeviceImages, to_device, training_batches
from tests.support.small import CPU, make_data


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


@pytest.mark.parametrize(("padding", "flip"), [(2, True), (2, False), (0, True), (0, False)])
def test_crops_and_flips_are_per_image_and_black_at_the_border(padding, flip):
    """Every shift alike often, half of the images flipped, and neither unless asked for."""
    data, side, count = images_with_positions(4000), 6, 4000
    settings = Training(batch_size=count, crop_padding=padding, flip=flip)
    ((images, _),) = training_batches(data, settings, 0, 0)
    original = torch.arange(1, side * side + 1).reshape(side, side).float()
    padded, shifts = F.pad(original, (padding,) * 4), range(2 * padding + 1)
    forms = [
        cropped(padded, row, column, side, turned)
        for row in shifts
        for column in shifts
        for turned in ((False, True) if flip else (False,))
    ]
    seen = [int((images[:, 0] == form).flatten(1).all(1).sum()) for form in forms]
    assert sum(seen) == count
    assert chisquare(seen).pvalue > 0.001 if len(seen) > 1 else seen == [count]


@pytest.mark.parametrize("channels_last", [True, False])
def test_batches_lie_as_the_settings_say(channels_last):
    data = DeviceImages(torch.zeros(4, 6, 6, 3, dtype=torch.uint8), *map(torch.zeros, (4, 3, 3)))
    ((images, _),) = training_batches(data, Training(channels_last=channels_last), 0, 0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    assert images.is_contiguous(memory_format=layout)


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
