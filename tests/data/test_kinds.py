"""Kinds of dataset that are archives or folders: CIFAR, image folders, Tiny-ImageNet."""

import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from jackpot.data.files import load_data
from jackpot.data.kinds import load_kind
from jackpot.data.sources import fetch, prepare
from jackpot.errors import JackpotError
from tests.support.images import encoded, folder_files, pixels, sha256, tar_of, written, zip_of

RNG = np.random.default_rng(3)


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


@pytest.mark.parametrize("pickled", [python2_pickle, lambda value: pickle.dumps(value, 4)])
@pytest.mark.parametrize("hundred", [False, True])
def test_cifar_archives(tmp_path, hundred, pickled):
    files, splits, classes = cifar_files(hundred, pickled=pickled)
    path = tar_of(tmp_path / "c.tar.gz", files)
    kind = "cifar100" if hundred else "cifar10"
    record = fetch(
        "c",
        {"kind": kind, "path": str(path), "sha256": sha256(path)},
        tmp_path / "c" / "source.json",
    )
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
        fetch("c", {"kind": "cifar10", "path": str(path)}, tmp_path / "c" / "source.json")
    assert load_kind("cifar100").published().urls[0].endswith("cifar-100-python.tar.gz")


@pytest.mark.parametrize("inside", ["", "cifar-10-batches-py"])
def test_an_unpacked_cifar_is_taken_as_it_is(tmp_path, inside):
    files, splits, _ = cifar_files()
    path = written(tmp_path / "here", files) / inside
    fetch("c", {"kind": "cifar10", "path": str(path)}, tmp_path / "c" / "source.json")
    prepare(tmp_path / "c" / "source.json", tmp_path / "c.safetensors")
    labels = [label for _, some in splits["test"] for label in some]
    assert load_data(tmp_path / "c.safetensors").test_labels.tolist() == labels
    with pytest.raises(JackpotError, match="is not the file expected"):
        fetch(
            "c",
            {"kind": "cifar10", "path": str(path), "md5": "0" * 32},
            tmp_path / "c" / "source.json",
        )


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
    fetch(
        "mine",
        {"kind": "image_folder", "path": str(source)},
        tmp_path / "data" / "mine" / "source.json",
    )
    prepare(tmp_path / "data" / "mine" / "source.json", tmp_path / "d.safetensors")
    check_folder(load_data(tmp_path / "d.safetensors"), arrays, test)


def read_folder(tmp_path, files, **options):
    return load_kind("image_folder").read(zip_of(tmp_path / "a.zip", files), **options)


def test_grey_and_colour(tmp_path):
    files, arrays = folder_files(channels=1)
    grey = read_folder(tmp_path, files)
    check_folder(grey, arrays)
    check_folder(read_folder(tmp_path, files, channels=1), arrays)
    colour = read_folder(tmp_path, files, channels=3)
    assert torch.equal(colour.train_images, grey.train_images.expand(-1, 3, -1, -1))
    for wrong in (0, 4):
        with pytest.raises(JackpotError, match=f"channels is 1 or 3, not {wrong}"):
            read_folder(tmp_path, files, channels=wrong)


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
@pytest.mark.parametrize("size", [None, 5])
def test_one_colour_image_makes_all_of_them_colour(tmp_path, mode, size):
    files, _ = folder_files()
    buffer = io.BytesIO()
    Image.fromarray(pixels()).convert(mode).save(buffer, "png")
    files["test/cat/0.png"] = buffer.getvalue()
    mixed = read_folder(tmp_path, files, size=size)
    asked = read_folder(tmp_path, files, size=size, channels=3)
    assert torch.equal(mixed.train_images, asked.train_images)
    assert torch.equal(mixed.test_images, asked.test_images)


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
    files, _ = folder_files()
    for split, said in (("train", "no test images"), ("test", "no training images")):
        part = {name: data for name, data in files.items() if name.startswith(split)}
        with pytest.raises(JackpotError, match=rf"{said}.*train/<class>/<image>"):
            read_folder(tmp_path, part)
    with pytest.raises(JackpotError, match="more than one top folder: , b"):
        read_folder(tmp_path, files | {"b/train/cat/9.png": encoded(pixels())})


@pytest.mark.parametrize(
    "spare",
    [encoded(pixels()), encoded(pixels(channels=1)), encoded(pixels(side=9)), b"no image"],
    ids=["colour", "grey", "size", "broken"],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_val_folder_beside_test_is_not_read(tmp_path, spare, channels):
    """Neither its classes nor its colours, sizes or damage matter."""
    files, arrays = folder_files(channels=channels)
    data = read_folder(tmp_path, files | {"val/bird/7.png": spare})
    check_folder(data, arrays)
    assert data.train_images.shape[1] == channels


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


@pytest.mark.parametrize("form", ["zip", "folder in a folder", "folder"])
def test_tiny_imagenet(tmp_path, form):
    files, arrays = tiny_files()
    if form == "zip":
        path = zip_of(tmp_path / "t.zip", files)
        data = load_kind("tiny_imagenet").read(path)
    else:
        path = written(tmp_path / "here", files)
        path = path / "tiny-imagenet-200" if form == "folder" else path
        fetch("t", {"kind": "tiny_imagenet", "path": str(path)}, tmp_path / "t" / "source.json")
        prepare(tmp_path / "t" / "source.json", tmp_path / "t.safetensors")
        data = load_data(tmp_path / "t.safetensors")
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
