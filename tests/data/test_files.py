"""The file of a dataset: what is read is what was put in, and what is wrong is named."""

import dataclasses

import numpy as np
import pytest
import torch

from jackpot.data.files import ImageData, channel_statistics, load_data, save_data
from jackpot.errors import JackpotError
from jackpot.files.tensors import load_tensors, save_tensors
from tests.support.images import same

RNG = np.random.default_rng(3)


def some_data(train=23, test=11, channels=3, classes=4):
    def images(count):
        return torch.from_numpy(RNG.integers(0, 256, (count, channels, 6, 5), dtype=np.uint8))

    def labels(count):
        return torch.from_numpy(RNG.integers(0, classes, count))

    train_images = images(train)
    return ImageData(
        train_images,
        labels(train),
        images(test),
        labels(test),
        *channel_statistics(train_images),
        tuple("abcdefgh"[:classes]),
    )


def test_saved_data_come_back_with_their_metadata(tmp_path):
    data = some_data()
    save_data(tmp_path / "d.safetensors", data, {"kind": "made up"})
    assert same(load_data(tmp_path / "d.safetensors"), data)
    assert load_tensors(tmp_path / "d.safetensors")[1]["kind"] == "made up"


def test_a_variant_without_a_test_split(tmp_path):
    data = dataclasses.replace(some_data(), test_images=None, test_labels=None)
    save_data(tmp_path / "d.safetensors", data)
    assert same(load_data(tmp_path / "d.safetensors"), data)


@pytest.mark.parametrize(
    ("shape", "low", "high"),
    [((40, 3, 9, 7), 0, 256), ((300, 2, 256, 256), 250, 256), ((5, 1, 3, 3), 7, 9)],
)
def test_channel_statistics_against_numpy(shape, low, high):
    images = RNG.integers(low, high, shape, dtype=np.uint8)
    mean, std = channel_statistics(torch.from_numpy(images))
    assert mean.dtype == std.dtype == torch.float32
    for channel in range(shape[1]):
        values = images[:, channel].astype(np.float64).ravel() / 255
        assert mean[channel].item() == pytest.approx(values.mean(), rel=1e-7)
        assert std[channel].item() == pytest.approx(values.std(), rel=1e-6)


def test_a_constant_channel_normalises_to_zero():
    images = torch.full((4, 2, 3, 3), 77, dtype=torch.uint8)
    images[0, 1] = 5
    mean, std = channel_statistics(images)
    assert std[0] == 1 and 0 < std[1] < 1
    assert ((images[:, 0] / 255 - mean[0]) / std[0]).abs().max() < 1e-6


def spoilt():
    data = some_data()
    return {
        "train_images must be uint8": {"train_images": data.train_images.float()},
        r"test_images must be uint8 \(N, C, H, W\)": {"test_images": data.test_images[0]},
        "test_images must": {"test_images": data.test_images[:0]},
        r"train_labels must be int64 \(23,\)": {"train_labels": data.train_labels[1:]},
        "test_labels must be int64": {"test_labels": data.test_labels.int()},
        "train_labels run from 0 to 4, outside 0 to 3": {
            "train_labels": torch.arange(23) % 5,
        },
        "test_labels run from -1": {"test_labels": torch.arange(11) % 4 - 1},
        "without the other": {"test_labels": None},
        r"shape \(3, 6, 5\) and test images \(3, 6, 4\)": {
            "test_images": data.test_images[..., 1:]
        },
        r"mean must be float32 \(3,\)": {"mean": data.mean[:1]},
        "std must be float32": {"std": data.std.double()},
        "mean is not finite": {"mean": data.mean * float("nan")},
        "std must be above 0": {"std": data.std * 0},
        "two or more distinct classes": {"classes": ("a", "b", "c", "a")},
    }


@pytest.mark.parametrize("message", spoilt())
def test_bad_data_are_neither_written_nor_read(tmp_path, message):
    data = dataclasses.replace(some_data(), **spoilt()[message])
    path = tmp_path / "d.safetensors"
    with pytest.raises(JackpotError, match=message):
        save_data(path, data)
    assert not path.exists()
    tensors = {name: value for name, value in vars(data).items() if torch.is_tensor(value)}
    save_tensors(path, tensors, {"classes": data.classes})
    with pytest.raises(JackpotError, match=rf"d\.safetensors.*{message}"):
        load_data(path)


def test_other_tensors_are_not_a_dataset(tmp_path):
    save_tensors(tmp_path / "w.safetensors", {"weight": torch.randn(3)})
    with pytest.raises(JackpotError, match="not a dataset: 'train_images' is missing"):
        load_data(tmp_path / "w.safetensors")
