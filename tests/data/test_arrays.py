"""A dataset that is a user's function, and folders that change."""

import os
import time

import numpy as np
import pytest
import torch

from jackpot.data.arrays import image_data
from jackpot.data.files import load_data
from jackpot.data.folders import refuse_changed
from jackpot.data.sources import fetch, prepare
from jackpot.errors import JackpotError


def arrays(count=6, shape=(3, 4, 5), classes=2, kind=np.uint8):
    draws = np.random.default_rng(0)
    return draws.integers(0, 256, (count, *shape)).astype(kind), np.arange(count) % classes


def test_arrays_become_a_dataset():
    train, test = arrays(6), arrays(4)
    data = image_data("f", (train, test, ["cat", "dog"]))
    assert data.classes == ("cat", "dog")
    assert torch.equal(data.train_images, torch.from_numpy(train[0]))
    assert data.test_labels.tolist() == [0, 1, 0, 1] and data.test_labels.dtype == torch.int64
    scaled = train[0] / 255
    np.testing.assert_allclose(data.mean, scaled.mean((0, 2, 3)), rtol=1e-6)
    np.testing.assert_allclose(data.std, scaled.std((0, 2, 3)), rtol=1e-6)


def test_grey_images_tensors_and_lists_will_do():
    images, labels = arrays(4, (5, 5))
    data = image_data("f", [[torch.from_numpy(images), labels.tolist()], (images, labels)])
    assert data.train_images.shape == (4, 1, 5, 5) and data.classes == ("0", "1")


GOOD = arrays()


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "must return .*and returned None"),
        (GOOD, "must return .*and returned a tuple of 2"),
        ((GOOD, (GOOD[0],)), "must return"),
        ((arrays(kind=float), GOOD), r"train_images must be uint8, 0 to 255, and are float64"),
        ((GOOD, arrays(shape=(5,))), r"test_images must be \(N, C, H, W\)"),
        ((arrays(shape=(4, 5, 3)), GOOD), r"look like \(N, H, W, C\): return images.transpose"),
        (((GOOD[0], GOOD[1][:3]), GOOD), "train_labels must be whole numbers, one for each of 6"),
        (((GOOD[0], GOOD[1] * 1.0), GOOD), "train_labels must be whole numbers"),
        (((GOOD[0], GOOD[1] - 1), GOOD), "0 or more, and one is -1"),
        ((GOOD, arrays(shape=(3, 4, 4))), r"train images have shape \(3, 4, 5\) and test"),
        ((GOOD, GOOD, ["a"]), "two or more classes"),
        ((arrays(classes=3), GOOD, ["a", "b"]), "labels run to 2, and there are 2 classes"),
        ((arrays(classes=3), GOOD), "no test image is of class 2"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(returned, message):
    with pytest.raises(JackpotError, match=message) as raised:
        image_data("data.py:load", returned)
    assert "\n" not in str(raised.value) and "data.py:load" in str(raised.value)


LOAD = """
import os
import time

import numpy as np

def load(path, *, repeat=1):
    pixels = np.frombuffer((path / "pixels").read_bytes(), dtype=np.uint8).reshape(-1, 4, 4)
    images = np.concatenate([pixels] * repeat)
    return (images, np.arange(len(images)) % 2), (images, np.arange(len(images)) % 2)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.py").write_text(LOAD)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pixels").write_bytes(bytes(range(64)))
    return tmp_path


def test_a_function_reads_a_folder_with_its_options(own):
    definition = {"kind": "data.py:load", "path": "mine", "options": {"repeat": 3}}
    fetch("d", definition, "d/source.json")
    prepare("d/source.json", "clean.safetensors")
    data = load_data("clean.safetensors")
    assert data.train_images.flatten().tolist() == [*range(64)] * 3


def test_an_archive_that_changed_is_asked_about(own):
    archive = own / "mine.bin"
    archive.write_bytes(bytes(range(64)))
    fetch("d", {"kind": "data.py:load", "path": "mine.bin"}, "d/source.json")
    refuse_changed("d/source.json")
    archive.write_bytes(bytes(range(1, 65)))
    later = time.time() + 5
    os.utime(archive, (later, later))
    with pytest.raises(JackpotError, match=r"mine\.bin has changed since"):
        refuse_changed("d/source.json")
    archive.unlink()
    refuse_changed("d/source.json")


def test_another_archive_of_an_older_date_is_asked_about(own):
    """Moved or unpacked into its place, a file keeps the date that it had."""
    archive = own / "mine.bin"
    archive.write_bytes(bytes(range(64)))
    fetch("d", {"kind": "data.py:load", "path": "mine.bin"}, "d/source.json")
    archive.write_bytes(bytes(range(128)))
    os.utime(archive, (1, 1))
    with pytest.raises(JackpotError, match=r"mine\.bin has changed since"):
        refuse_changed("d/source.json")


def test_a_function_without_a_path_is_given_none(own):
    elsewhere = 'open("mine/pixels", "rb").read() if path is None else b""'
    (own / "data.py").write_text(LOAD.replace('(path / "pixels").read_bytes()', elsewhere))
    record = fetch("d", {"kind": "data.py:load"}, "d/source.json")
    assert record["path"] is None and record["digest"] is None
    prepare("d/source.json", "clean.safetensors")
    assert len(load_data("clean.safetensors").train_images) == 4


def test_a_folder_that_changed_is_asked_about(own):
    refuse_changed("d/source.json")
    fetch("d", {"kind": "data.py:load", "path": "mine"}, "d/source.json")
    refuse_changed("d/source.json")
    (own / "mine" / "more").write_text("x")
    with pytest.raises(JackpotError, match=r"mine has changed since .*Then set `version: 2`"):
        refuse_changed("d/source.json")
    (own / "mine" / "more").unlink()
    refuse_changed("d/source.json")
    # Copied anew, and read to see that it is the same: once.
    pixels, record = own / "mine" / "pixels", own / "d" / "source.json"
    later = time.time() + 5
    os.utime(record, (later - 10, later - 10))
    refuse_changed(record)
    assert record.stat().st_mtime > later - 6
    # As many bytes as before.
    pixels.write_bytes(bytes(reversed(range(64))))
    os.utime(pixels, (later, later))
    with pytest.raises(JackpotError, match=r"mine has changed since .*Then set `version: 2`"):
        refuse_changed(record)
    with pytest.raises(JackpotError, match=r"datasets\.d .*made again"):
        prepare("d/source.json", "clean.safetensors")


def test_a_copy_of_ones_own_packing_is_taken_if_the_study_says_so(own):
    (own / "mine.tar").write_bytes(b"x" * 100)
    definition = {"kind": "cifar10", "path": "mine.tar"}
    with pytest.raises(JackpotError, match="set `verify: false`"):
        fetch("c", definition, "c/source.json")
    assert fetch("c", {**definition, "verify": False}, "c/source.json")["bytes"] == 100
