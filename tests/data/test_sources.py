"""Datasets: what is read is what was put in, and what is wrong is named."""

import dataclasses
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import tarfile
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jackpot.data import archives
from jackpot.data.files import ImageData, channel_statistics, load_data, save_data
from jackpot.data.kinds import load_kind
from jackpot.data.sources import fetch, prepare
from jackpot.errors import JackpotError
from jackpot.files.atomic import read_json
from jackpot.files.tensors import load_tensors, save_tensors
from tests.support import ROOT
from tests.support.images import REAL, folder_files, sha256, written, zip_of

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


def same(one, other):
    return all(
        torch.equal(a, b) if torch.is_tensor(a) else a == b
        for a, b in zip(vars(one).values(), vars(other).values(), strict=True)
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


def test_kinds_are_named_without_torch():
    code = (
        "import sys; from jackpot.data.kinds import kind_names; print(*kind_names());"
        "assert not {'torch', 'torchvision', 'PIL', 'numpy'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [
        "cifar10",
        "cifar100",
        "digits",
        "image_folder",
        "tiny_imagenet",
    ]


def test_unknown_kinds_and_options_are_refused(tmp_path):
    with pytest.raises(JackpotError, match="unknown kind of dataset 'mnist'; known: cifar10"):
        fetch("x", {"kind": "mnist"}, tmp_path / "x" / "source.json")
    with pytest.raises(JackpotError, match="kind cifar10 has no option size; it has: none"):
        fetch("x", {"kind": "cifar10", "size": 8}, tmp_path / "x" / "source.json")
    with pytest.raises(JackpotError, match="digits has no option sise; it has: test_fraction"):
        fetch("x", {"kind": "digits", "sise": 8}, tmp_path / "x" / "source.json")
    with pytest.raises(JackpotError, match="digits takes no path"):
        fetch("x", {"kind": "digits", "path": "here"}, tmp_path / "x" / "source.json")


def test_nothing_but_the_benchmark_imports_torchvision():
    library = Path(archives.__file__).parents[1]
    naming = [
        path.name
        for path in library.rglob("*.py")
        if re.search(r"^\s*(import|from) torchvision", path.read_text(), re.MULTILINE)
    ]
    assert naming == []


@pytest.fixture
def torchvision_compat(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("torchvision_compat")


@pytest.mark.parametrize("name", ["CIFAR10", "CIFAR100"])
def test_cifar_is_where_torchvision_says(torchvision_compat, name):
    theirs = getattr(torchvision_compat.import_torchvision().datasets, name)
    assert load_kind(name.lower()).published() == ((theirs.url,), f"md5:{theirs.tgz_md5}")


def test_only_the_known_failure_of_torchvision_is_fixed(torchvision_compat, monkeypatch):
    declared, tries = [], []
    good = types.ModuleType("torchvision")

    def importing(name):
        tries.append(name)
        if len(tries) == 1:
            raise RuntimeError("operator torchvision::nms does not exist")
        assert [name for name, _ in declared] == ["torchvision::nms", "torchvision::qnms"]
        assert set(modules) == {"torch", "torchvisionary"}
        return good

    modules = dict.fromkeys(["torch", "torchvisionary", "torchvision.extension", "torchvision"])
    monkeypatch.setattr(torchvision_compat, "sys", types.SimpleNamespace(modules=modules))
    monkeypatch.setattr(
        torchvision_compat, "importlib", types.SimpleNamespace(import_module=importing)
    )
    monkeypatch.setattr(torch.library, "define", lambda *args: declared.append(args))
    assert torchvision_compat.import_torchvision() is good

    def other(name):
        raise RuntimeError("operator torchvision::roi_align does not exist")

    monkeypatch.setattr(torchvision_compat.importlib, "import_module", other)
    with pytest.raises(RuntimeError, match="roi_align"):
        torchvision_compat.import_torchvision()
    assert len(declared) == 2


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


def test_a_local_source_is_used_where_it_lies(tmp_path, monkeypatch):
    source = written(tmp_path / "mine", folder_files()[0])
    monkeypatch.chdir(tmp_path)
    record = fetch("f", {"kind": "image_folder", "path": "mine"}, "data/f/source.json")
    assert record["path"] == str(source)
    assert record["bytes"] == sum(file.stat().st_size for _, file in archives.files(source))
    assert os.listdir(tmp_path / "data" / "f") == ["source.json"]
    monkeypatch.chdir("/")
    prepare(tmp_path / "data" / "f" / "source.json", tmp_path / "d.safetensors")
    metadata = load_tensors(tmp_path / "d.safetensors")[1]
    assert metadata["source"] == record["digest"]
    assert (metadata["dataset"], metadata["kind"]) == ("f", "image_folder")


def test_a_download_lies_beside_its_description_and_may_be_moved(tmp_path):
    archive = zip_of(tmp_path / "a b.zip", folder_files()[0])
    definition = {"kind": "image_folder", "url": archive.as_uri(), "sha256": sha256(archive)}
    record = fetch("f", definition, tmp_path / "data" / "f" / "source.json")
    assert record["path"] == "a b.zip"
    (tmp_path / "data").rename(tmp_path / "moved")
    archive.unlink()
    prepare(tmp_path / "moved" / "f" / "source.json", tmp_path / "d.safetensors")
    assert len(load_data(tmp_path / "d.safetensors").train_images) == 6


def test_a_mirror_comes_before_the_home_server(tmp_path):
    (tmp_path / "mirror").mkdir()
    archive = zip_of(tmp_path / "mirror" / "a.zip", folder_files()[0])
    home = tmp_path / "home" / "a.zip"
    md5 = hashlib.md5(archive.read_bytes()).hexdigest()
    definition = {"kind": "image_folder", "url": [home.as_uri()], "md5": md5}
    mirrors = [(tmp_path / "mirror").as_uri() + "/"]
    record = fetch("f", definition, tmp_path / "data" / "f" / "source.json", mirrors=mirrors)
    assert record["digest"] == f"sha256:{sha256(archive)}"
    assert record["bytes"] == archive.stat().st_size


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({}, "give a `path`"),
        ({"url": "http://127.0.0.1:9/a.zip"}, "needs a `sha256`"),
        ({"url": "http://127.0.0.1:9/", "md5": "0" * 32}, "does not end in a file name"),
        ({"path": "no/such/file"}, "no/such/file does not exist"),
        ({"path": "/", "sha256": "12"}, "hexadecimal"),
    ],
)
def test_definitions_that_cannot_work(tmp_path, definition, message):
    with pytest.raises(JackpotError, match=message):
        fetch("f", {"kind": "image_folder", **definition}, tmp_path / "f" / "source.json")
    assert not (tmp_path / "f" / "source.json").exists()


@pytest.mark.parametrize("form", ["folder", "a.zip"])
def test_a_source_that_is_not_the_one_named_is_refused(tmp_path, form):
    make = written if form == "folder" else zip_of
    source = make(tmp_path / form, folder_files()[0])
    definition = {"kind": "image_folder", "path": str(source)}
    with pytest.raises(JackpotError, match="is not the file expected"):
        fetch("f", definition | {"sha256": "0" * 64}, tmp_path / "f" / "source.json")
    good = fetch("f", definition, tmp_path / "f" / "source.json")["digest"].removeprefix("sha256:")
    fetch("f", definition | {"sha256": good}, tmp_path / "f" / "source.json")


@pytest.mark.parametrize("change", ["contents", "name", "more", "less"])
def test_prepare_notices_a_directory_that_changed(tmp_path, change):
    source = written(tmp_path / "mine", folder_files()[0])
    fetch("f", {"kind": "image_folder", "path": str(source)}, tmp_path / "f" / "source.json")
    file = source / "train" / "cat" / "2.png"
    if change == "contents":
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    elif change == "name":
        file.rename(file.with_name("9.png"))
    elif change == "more":
        (source / "train" / "cat" / "9.png").write_bytes(file.read_bytes())
    else:
        file.unlink()
    with pytest.raises(JackpotError, match="has changed since"):
        prepare(tmp_path / "f" / "source.json", tmp_path / "d.safetensors")


def test_prepare_notices_an_archive_that_changed_or_went(tmp_path):
    source = zip_of(tmp_path / "a.zip", folder_files()[0])
    fetch("f", {"kind": "image_folder", "path": str(source)}, tmp_path / "f" / "source.json")
    source.write_bytes(source.read_bytes() + b"\0")
    with pytest.raises(JackpotError, match="has changed since"):
        prepare(tmp_path / "f" / "source.json", tmp_path / "d.safetensors")
    source.unlink()
    with pytest.raises(JackpotError, match=r"a\.zip: cannot be read"):
        prepare(tmp_path / "f" / "source.json", tmp_path / "d.safetensors")


def changed(**values):
    def change(record):
        return json.dumps(record | values)

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda record: "", "Expecting value"),
        (lambda record: "[]", "does not describe a dataset"),
        (lambda record: json.dumps({"kind": "digits"}), "'dataset' is missing"),
        *[
            (lambda record, key=key: json.dumps({k: record[k] for k in record if k != key}), key)
            for key in ("kind", "path", "digest", "bytes", "options")
        ],
        (changed(options=None), "its 'options' is None"),
        (changed(kind=3), "its 'kind' is 3"),
        (changed(path=["x"]), r"its 'path' is \['x'\]"),
        (changed(bytes="many"), "its 'bytes' is 'many'"),
        (changed(path=None), "kind image_folder does not go with the path None"),
        (changed(kind="digits"), "kind digits does not go with the path"),
        (changed(kind="gone"), "unknown kind of dataset 'gone'"),
        (changed(options={"sise": 3}), "kind image_folder has no option sise"),
    ],
)
def test_a_damaged_description_is_named(tmp_path, damage, message):
    source = zip_of(tmp_path / "a.zip", folder_files()[0])
    record = fetch(
        "f", {"kind": "image_folder", "path": str(source)}, tmp_path / "f" / "source.json"
    )
    described = tmp_path / "f" / "source.json"
    described.write_text(damage(record))
    with pytest.raises(JackpotError, match=rf"source\.json: .*{message}"):
        prepare(described, tmp_path / "d.safetensors")
    assert not (tmp_path / "d.safetensors").exists()


def test_hidden_files_change_no_digest(tmp_path):
    source = written(tmp_path / "mine", folder_files()[0])
    definition = {"kind": "image_folder", "path": str(source)}
    before = fetch("f", definition, tmp_path / "f" / "source.json")
    (source / "train" / ".DS_Store").write_text("x")
    assert fetch("f", definition, tmp_path / "f" / "source.json") == before


@pytest.mark.skipif(
    not REAL.exists(), reason="no CIFAR-10 JPEG archive; name one in JACKPOT_CIFAR10_JPEG"
)
def test_cifar10_as_jpeg(tmp_path):
    data = load_kind("image_folder").read(REAL)
    assert data.train_images.shape == (50_000, 3, 32, 32)
    assert data.test_images.shape == (10_000, 3, 32, 32)
    assert data.train_labels.bincount().tolist() == [5_000] * 10
    assert data.test_labels.bincount().tolist() == [1_000] * 10
    assert data.classes[0] == "airplane" and data.classes[-1] == "truck"
    # The channel means of CIFAR-10 that every training script quotes; JPEG hardly moves them.
    assert data.mean.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=5e-4)
    # One image taken by another route.
    with tarfile.open(REAL) as tar:
        first = next(m for m in tar if m.name.startswith("train/") and m.isfile())
        image = np.asarray(Image.open(tar.extractfile(first)))
    position = 5_000 * data.classes.index(first.name.split("/")[1])
    assert np.array_equal(data.train_images[position].permute(1, 2, 0).numpy(), image)
