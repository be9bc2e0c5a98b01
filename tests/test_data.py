"""Datasets: what is read is what was put in, and what is wrong is named."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
import subprocess
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from jackpot.data import torchvision_compat
from jackpot.data.archives import members
from jackpot.data.files import ImageData, channel_statistics, load_data, save_data
from jackpot.data.kinds import load_kind
from jackpot.data.sources import fetch, prepare
from jackpot.errors import JackpotError
from jackpot.storage import load_tensors, read_json, save_tensors

RNG = np.random.default_rng(3)
REAL = Path(
    os.environ.get("JACKPOT_CIFAR10_JPEG")
    or Path(__file__).parents[2] / "shared" / "data" / "cifar10-jpeg.tar.xz"
)


# --- files ---------------------------------------------------------------------------------


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


# --- kinds ---------------------------------------------------------------------------------


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
        fetch("x", {"kind": "mnist"}, tmp_path)
    with pytest.raises(JackpotError, match="kind cifar10 has no option size; it has: none"):
        fetch("x", {"kind": "cifar10", "size": 8}, tmp_path)
    with pytest.raises(JackpotError, match="digits has no option sise; it has: test_fraction"):
        fetch("x", {"kind": "digits", "sise": 8}, tmp_path)
    with pytest.raises(JackpotError, match="digits takes no path"):
        fetch("x", {"kind": "digits", "path": "here"}, tmp_path)


def test_torchvision_is_imported_whatever_its_build():
    assert torchvision_compat.import_torchvision().datasets.CIFAR10.tgz_md5


def test_only_the_known_failure_of_torchvision_is_mended(monkeypatch):
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


# --- digits --------------------------------------------------------------------------------


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


# --- CIFAR ---------------------------------------------------------------------------------


def python2_pickle(value):
    """``value`` as Python 2 and its NumPy would pickle it (protocol 2)."""
    return b"\x80\x02" + _emit(value) + b"."


def _emit(value):
    if isinstance(value, str):
        return _emit(value.encode())
    if isinstance(value, bytes):
        return b"T" + len(value).to_bytes(4, "little") + value
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little", signed=True)
    if value is None:
        return b"N"
    if isinstance(value, tuple):
        return b"(" + b"".join(map(_emit, value)) + b"t"
    if isinstance(value, list):
        return b"](" + b"".join(map(_emit, value)) + b"e"
    if isinstance(value, dict):
        return b"}(" + b"".join(_emit(k) + _emit(v) for k, v in value.items()) + b"u"
    dtype = b"cnumpy\ndtype\n" + _emit(("u1", 0, 1)) + b"R"
    dtype += _emit((3, "|", None, None, None, -1, -1, 0)) + b"b"
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + _emit((0,))
    state = b"(" + _emit(1) + _emit(value.shape) + dtype + _emit(False) + _emit(value.tobytes())
    return empty + _emit("b") + b"tR" + state + b"tb"


def cifar_files(hundred=False, rows=7, pickled=python2_pickle):
    """The files of a tiny CIFAR archive, and its (images, labels) by split."""
    folder = "cifar-100-python" if hundred else "cifar-10-batches-py"
    names = ["train"] if hundred else [f"data_batch_{i}" for i in range(1, 6)]
    classes = [f"class {i}" for i in range(100 if hundred else 10)]
    files, splits = {}, {"train": [], "test": []}
    for name in [*names, "test" if hundred else "test_batch"]:
        data = RNG.integers(0, 256, (rows, 3072), dtype=np.uint8)
        labels = RNG.integers(0, len(classes), rows).tolist()
        batch = {"data": data, "fine_labels" if hundred else "labels": labels, "batch_label": name}
        if hundred:
            batch["coarse_labels"] = [0] * rows
        files[f"{folder}/{name}"] = pickled(batch)
        splits["test" if name.startswith("test") else "train"].append((data, labels))
    meta = {"fine_label_names" if hundred else "label_names": classes, "num_vis": 3072}
    files[f"{folder}/{'meta' if hundred else 'batches.meta'}"] = pickled(meta)
    return files, splits, tuple(classes)


def tar_of(path, files):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w:xz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("pickled", [python2_pickle, lambda value: pickle.dumps(value, 4)])
@pytest.mark.parametrize("hundred", [False, True])
def test_cifar_archives(tmp_path, hundred, pickled):
    files, splits, classes = cifar_files(hundred, pickled=pickled)
    path = tar_of(tmp_path / "c.tar.gz", files)
    kind = "cifar100" if hundred else "cifar10"
    record = fetch("c", {"kind": kind, "path": str(path), "sha256": sha256(path)}, tmp_path)
    assert record["digest"] == f"sha256:{sha256(path)}"
    prepare(tmp_path / "c" / "source.json", tmp_path / "c.safetensors")
    data = load_data(tmp_path / "c.safetensors")
    assert data.classes == classes
    for split, images, labels in (
        ("train", data.train_images, data.train_labels),
        ("test", data.test_images, data.test_labels),
    ):
        rows = np.concatenate([data for data, _ in splits[split]])
        # The format: 1,024 red, then green, then blue values, each row by row.
        expected = np.stack(
            [rows[:, c * 1024 :][:, :1024].reshape(-1, 32, 32) for c in range(3)], 1
        )
        assert np.array_equal(images.numpy(), expected)
        assert labels.tolist() == [label for _, some in splits[split] for label in some]


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    marker = tmp_path / "ran"

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(marker),)

    files, _, _ = cifar_files()
    files["cifar-10-batches-py/test_batch"] = pickle.dumps({"data": Attack()}, 2)
    path = tar_of(tmp_path / "c.tar.gz", files)
    with pytest.raises(JackpotError, match=r"test_batch refused.*mkdir"):
        load_kind("cifar10").read(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "attack",
    [
        b"cbuiltins\neval\n.",
        b"c__builtin__\neval\n.",
        b"cnumpy\nload\n.",
        b"cnumpy\nndarray.dump\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0endarray.tofile\x93.",
        b"Pos\n.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_pickles_get_arrays_and_nothing_else(tmp_path, attack):
    files, _, _ = cifar_files()
    files["cifar-10-batches-py/batches.meta"] = attack
    with pytest.raises(JackpotError, match=r"batches\.meta refused"):
        load_kind("cifar10").read(tar_of(tmp_path / "c.tar.gz", files))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"data_batch_3": None}, "cifar-10-batches-py/data_batch_3 missing"),
        ({"data_batch_3": b"\x80\x02}"}, "data_batch_3 refused"),
        ({"data_batch_3": python2_pickle([1])}, "data_batch_3 is not a CIFAR file"),
        ({"data_batch_3": python2_pickle({"data": 3})}, "data_batch_3 is not a CIFAR batch"),
        (
            {"data_batch_3": python2_pickle({"data": np.ones((2, 3072), "u1"), "labels": [1]})},
            "data_batch_3 is not a CIFAR batch",
        ),
        ({"batches.meta": python2_pickle({"names": ["a"]})}, r"batches\.meta names no classes"),
    ],
)
def test_spoilt_cifar_archives_are_named(tmp_path, spoil, message):
    files, _, _ = cifar_files()
    for name, data in spoil.items():
        files[f"cifar-10-batches-py/{name}"] = data
    files = {name: data for name, data in files.items() if data is not None}
    with pytest.raises(JackpotError, match=message):
        load_kind("cifar10").read(tar_of(tmp_path / "c.tar.gz", files))


def test_cifar_expects_the_published_archive_unless_told_otherwise(tmp_path):
    path = tar_of(tmp_path / "cifar-10-python.tar.gz", cifar_files()[0])
    with pytest.raises(JackpotError, match="c58f30108f718f92721af3b95e74349a"):
        fetch("c", {"kind": "cifar10", "path": str(path)}, tmp_path)
    assert load_kind("cifar100").published().urls[0].endswith("cifar-100-python.tar.gz")


# --- image folders -------------------------------------------------------------------------


def encoded(pixels, suffix="png"):
    buffer = io.BytesIO()
    shown = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    Image.fromarray(shown).save(buffer, {"jpg": "jpeg"}.get(suffix, suffix))
    return buffer.getvalue()


def pixels(side=6, channels=3):
    return RNG.integers(0, 256, (side, side, channels), dtype=np.uint8)


def folder_files(top="", test="test", classes=("cat", "dog"), **shape):
    """File contents in an order that is not the sorted one, and the arrays by (split, class)."""
    files, arrays = {}, {}
    for split in (test, "train"):
        for name in reversed(classes):
            stack = [pixels(**shape) for _ in range(3 if split == "train" else 2)]
            arrays[split, name] = stack
            for i in reversed(range(len(stack))):
                files[f"{top}{split}/{name}/{i}.png"] = encoded(stack[i])
    return files, arrays


def written(root, files):
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def zip_of(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def check_folder(data, arrays, test="test"):
    assert data.classes == ("cat", "dog")
    for split, images, labels in (
        ("train", data.train_images, data.train_labels),
        (test, data.test_images, data.test_labels),
    ):
        expected = np.stack(arrays[split, "cat"] + arrays[split, "dog"]).transpose(0, 3, 1, 2)
        assert np.array_equal(images.numpy(), expected)
        half = len(expected) // 2
        assert labels.tolist() == [0] * half + [1] * half


@pytest.mark.parametrize("form", ["folder", "a.tar.gz", "a.tar.xz", "a.zip"])
@pytest.mark.parametrize(("top", "test"), [("", "test"), ("images/", "val")])
def test_image_folders_in_every_form(tmp_path, form, top, test):
    files, arrays = folder_files(top, test)
    noise = {f"{top}README.txt": b"hi", f"{top}train/cat/._0.png": b"?", f"{top}train/x.png": b"?"}
    files |= noise | {f"__MACOSX/{top}train/cat/0.png": b"?", f"{top}train/cat/list.csv": b"?"}
    make = {"folder": written, "a.zip": zip_of}.get(form, tar_of)
    source = make(tmp_path / form, files)
    fetch("mine", {"kind": "image_folder", "path": str(source)}, tmp_path / "data")
    prepare(tmp_path / "data" / "mine" / "source.json", tmp_path / "d.safetensors")
    check_folder(load_data(tmp_path / "d.safetensors"), arrays, test)


def read_folder(tmp_path, files, **options):
    return load_kind("image_folder").read(zip_of(tmp_path / "a.zip", files), **options)


def test_grey_and_colour(tmp_path):
    files, arrays = folder_files(channels=1)
    grey = read_folder(tmp_path, files, channels=1)
    check_folder(grey, arrays)
    colour = read_folder(tmp_path, files)
    assert torch.equal(colour.train_images, grey.train_images.expand(-1, 3, -1, -1))
    with pytest.raises(JackpotError, match="channels is 1 or 3, not 4"):
        read_folder(tmp_path, files, channels=4)


def test_size_resizes_and_without_it_sizes_must_agree(tmp_path):
    files, arrays = folder_files()
    files["train/dog/odd.png"] = encoded(pixels(side=9))
    with pytest.raises(JackpotError, match=r"train/dog/odd\.png has 9x9 pixels and .* has 6x6"):
        read_folder(tmp_path, files)
    data = read_folder(tmp_path, files, size=4)
    assert data.train_images.shape == (7, 3, 4, 4)
    expected = Image.fromarray(arrays["train", "cat"][1]).resize((4, 4), Image.Resampling.BILINEAR)
    assert np.array_equal(data.train_images[1].permute(1, 2, 0), np.asarray(expected))
    for wrong in (0, -3, "8"):
        with pytest.raises(JackpotError, match="size is a side in pixels"):
            read_folder(tmp_path, files, size=wrong)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0, 10, 0.6, 0.9])
def test_a_corrupt_image_is_named(tmp_path, suffix, kept):
    files, _ = folder_files(side=16)
    whole = encoded(pixels(16), suffix)
    kept = int(kept * len(whole)) if kept < 1 else kept
    files[f"test/cat/bad.{suffix}"] = whole[:kept]
    with pytest.raises(JackpotError, match=rf"a\.zip: test/cat/bad\.{suffix} cannot be decoded"):
        read_folder(tmp_path, files)


def test_other_formats_and_deep_images_are_refused(tmp_path):
    files, _ = folder_files()
    with pytest.raises(JackpotError, match=r"pcx\.png cannot be decoded"):
        read_folder(tmp_path, files | {"train/cat/pcx.png": encoded(pixels(), "pcx")})
    deep = encoded(RNG.integers(0, 2**16, (6, 6), dtype=np.uint16))
    with pytest.raises(JackpotError, match=r"deep\.png has more than 8 bits"):
        read_folder(tmp_path, files | {"train/cat/deep.png": deep})


def test_classes_must_agree_and_be_two(tmp_path):
    files, _ = folder_files()
    more = {"test/bird/0.png": encoded(pixels()), "train/fish/0.png": encoded(pixels())}
    with pytest.raises(JackpotError, match="only in training: fish; only in test: bird"):
        read_folder(tmp_path, files | more)
    with pytest.raises(JackpotError, match=r"one class only \(cat\)"):
        read_folder(tmp_path, folder_files(classes=("cat",))[0])


def test_layouts_that_cannot_be_meant(tmp_path):
    files, arrays = folder_files()
    for split, said in (("train", "no test images"), ("test", "no training images")):
        part = {name: data for name, data in files.items() if name.startswith(split)}
        with pytest.raises(JackpotError, match=rf"{said}.*train/<class>/<image>"):
            read_folder(tmp_path, part)
    with pytest.raises(JackpotError, match="more than one top folder: , b"):
        read_folder(tmp_path, files | {"b/train/cat/9.png": encoded(pixels())})
    spare = {f"val/{name}/7.png": encoded(pixels()) for name in ("cat", "dog")}
    check_folder(read_folder(tmp_path, files | spare), arrays)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path):
    path = zip_of(tmp_path / "a.zip", folder_files()[0])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("train/cat/1.png", encoded(pixels()))
    with pytest.raises(JackpotError, match=r"holds train/cat/1\.png twice"):
        load_kind("image_folder").read(path)


def test_an_archive_that_reaches_outside_is_refused(tmp_path):
    files, _ = folder_files()
    with pytest.raises(JackpotError, match="leads outside"):
        read_folder(tmp_path, files | {"../train/cat/x.png": encoded(pixels())})


# --- Tiny-ImageNet -------------------------------------------------------------------------


def tiny_files():
    files, arrays, rows = {}, {}, []
    for i, wnid in enumerate(("n02", "n01")):
        shown = [pixels(64, 1 if i else 3) for _ in range(5)]
        arrays[wnid] = [np.broadcast_to(image, (64, 64, 3)) for image in shown]
        for j in range(3):
            name = f"tiny-imagenet-200/train/{wnid}/images/{wnid}_{j}.JPEG"
            files[name] = encoded(shown[j])
        for j in (3, 4):
            file = f"val_{10 * i + j}.JPEG"
            files[f"tiny-imagenet-200/val/images/{file}"] = encoded(shown[j])
            rows.append(f"{file}\t{wnid}\t0\t32\t44\t62")
        files[f"tiny-imagenet-200/train/{wnid}/{wnid}_boxes.txt"] = b"boxes"
    files["tiny-imagenet-200/test/images/test_0.JPEG"] = b"not read"
    files["tiny-imagenet-200/words.txt"] = b"n01\tcat\nn02\tdog\n"
    files["tiny-imagenet-200/val/val_annotations.txt"] = "\n".join(rows).encode()
    files["tiny-imagenet-200/wnids.txt"] = b"n02\nn01"
    return files, arrays


def test_tiny_imagenet(tmp_path):
    files, arrays = tiny_files()
    data = load_kind("tiny_imagenet").read(zip_of(tmp_path / "t.zip", files))
    assert data.classes == ("n01", "n02")
    expected = np.stack(arrays["n01"][:3] + arrays["n02"][:3]).transpose(0, 3, 1, 2)
    assert np.array_equal(data.train_images.numpy(), expected)
    expected = np.stack(arrays["n01"][3:] + arrays["n02"][3:]).transpose(0, 3, 1, 2)
    assert np.array_equal(data.test_images.numpy(), expected)
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test_labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("wnids.txt", r"wnids\.txt missing"),
        ("val/val_annotations.txt", r"val/val_annotations\.txt missing"),
        ("val/images/val_13.JPEG", r"disagree about val_13\.JPEG"),
    ],
)
def test_tiny_imagenet_with_something_lost(tmp_path, lost, message):
    files, _ = tiny_files()
    del files[f"tiny-imagenet-200/{lost}"]
    with pytest.raises(JackpotError, match=message):
        load_kind("tiny_imagenet").read(zip_of(tmp_path / "t.zip", files))


def test_tiny_imagenet_with_lists_that_disagree(tmp_path):
    files, _ = tiny_files()
    annotations = "tiny-imagenet-200/val/val_annotations.txt"
    short = files | {annotations: files[annotations].rpartition(b"\n")[0]}
    with pytest.raises(JackpotError, match=r"disagree about val_14\.JPEG"):
        load_kind("tiny_imagenet").read(zip_of(tmp_path / "t.zip", short))
    more = files | {"tiny-imagenet-200/wnids.txt": b"n02\nn01\nn03\n"}
    with pytest.raises(JackpotError, match="train images disagree about the classes n03"):
        load_kind("tiny_imagenet").read(zip_of(tmp_path / "t.zip", more))


# --- fetch and prepare ---------------------------------------------------------------------


def test_digits_from_definition_to_file(tmp_path):
    definition = {"kind": "digits", "path": None, "url": None, "test_fraction": 0.25, "size": None}
    record = fetch("d", definition, tmp_path)
    assert record == read_json(tmp_path / "d" / "source.json")
    assert record["path"] is None and record["options"] == {"test_fraction": 0.25}
    prepare(tmp_path / "d" / "source.json", tmp_path / "d.safetensors")
    assert same(load_data(tmp_path / "d.safetensors"), load_kind("digits").read(test_fraction=0.25))


def test_a_local_source_is_used_where_it_lies(tmp_path, monkeypatch):
    source = written(tmp_path / "mine", folder_files()[0])
    monkeypatch.chdir(tmp_path)
    record = fetch("f", {"kind": "image_folder", "path": "mine"}, "data")
    assert record["path"] == str(source)
    assert record["bytes"] == sum(m.size for m in members(source))
    assert os.listdir(tmp_path / "data" / "f") == ["source.json"]
    monkeypatch.chdir("/")
    prepare(tmp_path / "data" / "f" / "source.json", tmp_path / "d.safetensors")
    metadata = load_tensors(tmp_path / "d.safetensors")[1]
    assert metadata["source"] == record["digest"]
    assert (metadata["dataset"], metadata["kind"]) == ("f", "image_folder")


def test_a_download_lies_beside_its_description_and_may_be_moved(tmp_path):
    archive = zip_of(tmp_path / "a b.zip", folder_files()[0])
    definition = {"kind": "image_folder", "url": archive.as_uri(), "sha256": sha256(archive)}
    record = fetch("f", definition, tmp_path / "data")
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
    record = fetch("f", definition, tmp_path / "data", mirrors=mirrors)
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
        fetch("f", {"kind": "image_folder", **definition}, tmp_path)
    assert not (tmp_path / "f" / "source.json").exists()


@pytest.mark.parametrize("form", ["folder", "a.zip"])
def test_a_source_that_is_not_the_one_named_is_refused(tmp_path, form):
    make = written if form == "folder" else zip_of
    source = make(tmp_path / form, folder_files()[0])
    definition = {"kind": "image_folder", "path": str(source)}
    with pytest.raises(JackpotError, match="is not the file expected"):
        fetch("f", definition | {"sha256": "0" * 64}, tmp_path)
    good = fetch("f", definition, tmp_path)["digest"].removeprefix("sha256:")
    fetch("f", definition | {"sha256": good}, tmp_path)


@pytest.mark.parametrize("change", ["contents", "name", "more", "less"])
def test_prepare_notices_a_directory_that_changed(tmp_path, change):
    source = written(tmp_path / "mine", folder_files()[0])
    fetch("f", {"kind": "image_folder", "path": str(source)}, tmp_path)
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
    fetch("f", {"kind": "image_folder", "path": str(source)}, tmp_path)
    source.write_bytes(source.read_bytes() + b"\0")
    with pytest.raises(JackpotError, match="has changed since"):
        prepare(tmp_path / "f" / "source.json", tmp_path / "d.safetensors")
    source.unlink()
    with pytest.raises(JackpotError, match=r"a\.zip: cannot be read"):
        prepare(tmp_path / "f" / "source.json", tmp_path / "d.safetensors")
    (tmp_path / "f" / "source.json").write_text(json.dumps({"kind": "digits"}))
    with pytest.raises(JackpotError, match=r"source\.json.*does not describe a dataset"):
        prepare(tmp_path / "f" / "source.json", tmp_path / "d.safetensors")


def test_hidden_files_change_no_digest(tmp_path):
    source = written(tmp_path / "mine", folder_files()[0])
    definition = {"kind": "image_folder", "path": str(source)}
    before = fetch("f", definition, tmp_path)
    (source / "train" / ".DS_Store").write_text("x")
    assert fetch("f", definition, tmp_path) == before


# --- the real thing ------------------------------------------------------------------------


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
