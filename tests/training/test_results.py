"""What a training reads."""

from dataclasses import replace

import pytest
import torch

from jackpot.data.files import save_data
from jackpot.errors import JackpotError
from jackpot.training.results import load_splits
from tests.support.small import CPU, make_data


def test_training_images_are_the_spoiled_ones_and_test_images_the_clean(tmp_path):
    clean, spoiled = tmp_path / "clean.safetensors", tmp_path / "spoiled.safetensors"
    data = make_data(clean)
    other = replace(
        data,
        train_images=255 - data.train_images,
        train_labels=data.train_labels.flip(0),
        test_images=None,
        test_labels=None,
    )
    save_data(spoiled, other)
    for of, expected in ((clean, data), (spoiled, other)):
        train, test = load_splits(clean, of, CPU)
        assert torch.equal(train.images.permute(0, 3, 1, 2), expected.train_images)
        assert torch.equal(train.labels, expected.train_labels)
        assert torch.equal(test.images.permute(0, 3, 1, 2), data.test_images)
        assert torch.equal(test.labels, data.test_labels)
    with pytest.raises(JackpotError, match="has no test split"):
        load_splits(spoiled, spoiled, CPU)
