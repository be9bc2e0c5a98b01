"""The images that a score sees."""

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.pruning.batch import blank_batch, pruning_batch
from jackpot.randomness import generator

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def pictures(per_class=15, classes=6):
    g = generator(0, "pictures")
    labels = torch.arange(classes).repeat(per_class)
    labels = labels[torch.randperm(len(labels), generator=g)]
    images = torch.randint(256, (len(labels), 3, 4, 5), generator=g, dtype=torch.uint8)
    # A picture's first two values are its number, so that it can be told apart.
    images[:, 0, 0, 0] = torch.arange(len(labels))
    return images, labels


def numbers(images):
    return (images[:, 0, 0, 0] * STD[0] + MEAN[0]).mul(255).round().long()


def test_batch_of_every_class_in_order():
    images, labels = pictures()
    found, classes = pruning_batch(
        images, labels, MEAN, STD, generator(0), samples_per_class=4, draws=3
    )
    assert classes.tolist() == [c for _ in range(3) for c in range(6) for _ in range(4)]
    assert torch.equal(labels[numbers(found)], classes)
    draws = [set(part.tolist()) for part in numbers(found).split(24)]
    assert all(len(draw) == 24 for draw in draws), "no picture twice in a draw"
    assert draws[0] != draws[1] != draws[2]


def test_batch_is_normalised_by_channel():
    images, labels = pictures()
    found, _ = pruning_batch(images, labels, MEAN, STD, generator(0), samples_per_class=2)
    assert found.dtype == torch.float32 and found.shape == (12, 3, 4, 5)
    for row, number in zip(found, numbers(found), strict=True):
        for channel in range(3):
            expected = (images[number, channel] / 255 - MEAN[channel]) / STD[channel]
            assert torch.allclose(row[channel], expected, atol=1e-6)


def test_shuffled_batch_is_without_replacement():
    images, labels = pictures()
    found, classes = pruning_batch(
        images, labels, MEAN, STD, generator(0), kind="shuffled", size=50
    )
    assert len(numbers(found).unique()) == 50
    assert torch.equal(labels[numbers(found)], classes)
    assert classes.tolist() != sorted(classes.tolist())
    every, _ = pruning_batch(images, labels, MEAN, STD, generator(0), kind="shuffled", size=90)
    assert len(numbers(every).unique()) == 90


@pytest.mark.parametrize("kind", ["per_class", "shuffled"])
def test_a_blank_batch_has_the_form_of_one_that_is_drawn(kind):
    images, labels = pictures()
    options = {"kind": kind, "samples_per_class": 4, "draws": 3, "size": 50, "classes": 6}
    drawn = pruning_batch(images, labels, MEAN, STD, generator(0), **options)
    for blank, like in zip(blank_batch(images, **options), drawn, strict=True):
        assert torch.equal(blank, torch.zeros_like(like)) and blank.dtype == like.dtype


@pytest.mark.parametrize("options", [{"samples_per_class": 5}, {"kind": "shuffled", "size": 30}])
def test_batches_are_keyed(options):
    images, labels = pictures()

    def draw(seed):
        return pruning_batch(images, labels, MEAN, STD, generator(seed), **options)[0]

    assert torch.equal(draw(0), draw(0)) and not torch.equal(draw(0), draw(1))


def test_batches_that_cannot_be_drawn_are_refused():
    images, labels = pictures()
    with pytest.raises(JackpotError, match="class 0 has 15 images"):
        pruning_batch(images, labels, MEAN, STD, generator(0), samples_per_class=16)
    with pytest.raises(JackpotError, match="class 6 has 0 images"):
        pruning_batch(images, labels, MEAN, STD, generator(0), classes=7)
    with pytest.raises(JackpotError, match="too few"):
        pruning_batch(images, labels, MEAN, STD, generator(0), kind="shuffled", size=91)
    with pytest.raises(JackpotError, match="known: per_class, shuffled"):
        pruning_batch(images, labels, MEAN, STD, generator(0), kind="stratified")
