"""scikit-learn's digits: all there once, split by class."""

import numpy as np
import pytest
import torch

from jackpot.data.files import load_data
from jackpot.data.kinds import load_kind
from jackpot.data.sources import fetch, prepare
from jackpot.errors import JackpotError
from jackpot.files.atomic import read_json
from tests.support.images import same


@pytest.mark.parametrize("fraction", [0.5, 0.2])
def test_digits_are_all_there_once_and_stratified(fraction):
    from sklearn.datasets import load_digits

    torch.manual_seed(int(100 * fraction))
    data = load_kind("digits").read(None, test_fraction=fraction)
    raw = load_digits()
    assert data.train_images.shape[1:] == (1, 8, 8)

    def rows(images, labels):
        return sorted(
            (int(n), *i) for n, i in zip(labels, np.reshape(images, (len(labels), -1)), strict=True)
        )

    scaled = [[round(v * 255 / 16) for v in image] for image in raw.data]
    both = torch.cat([data.train_images, data.test_images])
    labels = torch.cat([data.train_labels, data.test_labels])
    assert rows(both.tolist(), labels.tolist()) == rows(scaled, raw.target)
    for digit in range(10):
        count = int((raw.target == digit).sum())
        assert abs(int((data.test_labels == digit).sum()) - fraction * count) <= 0.5
    assert data.train_images.max() == 255 and data.classes == tuple("0123456789")
    again = load_kind("digits").read(None, test_fraction=fraction)
    assert same(data, again)
    # Drawn, and not the first so many: scikit-learn's order is by writer.
    zeros = data.test_images[data.test_labels == 0].flatten(1).tolist()
    first = [[round(v * 255 / 16) for v in image] for image in raw.data[raw.target == 0]]
    assert zeros != first[: len(zeros)]


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 0.0001, 2])
def test_digits_refuse_a_fraction_that_empties_a_split(fraction):
    with pytest.raises(JackpotError, match="test_fraction"):
        load_kind("digits").read(None, test_fraction=fraction)


def test_digits_from_definition_to_file(tmp_path):
    definition = {"kind": "digits", "path": None, "url": None, "test_fraction": 0.25, "size": None}
    record = fetch("d", definition, tmp_path / "d" / "source.json")
    assert record == read_json(tmp_path / "d" / "source.json")
    assert record["path"] is None and record["options"] == {"test_fraction": 0.25}
    prepare(tmp_path / "d" / "source.json", tmp_path / "d.safetensors")
    assert same(load_data(tmp_path / "d.safetensors"), load_kind("digits").read(test_fraction=0.25))
