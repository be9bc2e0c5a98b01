"""Where data come from: kinds by name, downloads, local sources, and what changed meanwhile."""

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
from jackpot.data.files import load_data
from jackpot.data.kinds import load_kind
from jackpot.data.sources import fetch, prepare
from jackpot.errors import JackpotError
from jackpot.files.tensors import load_tensors
from tests.support import ROOT
from tests.support.images import REAL, folder_files, sha256, written, zip_of


def test_kinds_are_named_without_torch():
    code = (
        "import sys; from jackpot.data.kinds import KINDS; print(*KINDS.names());"
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
    with pytest.raises(JackpotError, match=r"'mnist' does not exist\. Allowed: cifar10"):
        fetch("x", {"kind": "mnist"}, tmp_path / "x" / "source.json")
    with pytest.raises(JackpotError, match=r"dataset 'cifar10' has no option size\. It has: none"):
        fetch("x", {"kind": "cifar10", "size": 8}, tmp_path / "x" / "source.json")
    with pytest.raises(JackpotError, match=r"'digits' has no option sise\. It has: test_fraction"):
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


def test_a_local_source_is_used_where_it_lies(tmp_path, monkeypatch):
    source = written(tmp_path / "mine", folder_files()[0])
    monkeypatch.chdir(tmp_path)
    record = fetch("f", {"kind": "image_folder", "path": "mine"}, "data/f/source.json")
    assert record["path"] == "../../mine"
    assert record["bytes"] == sum(file.stat().st_size for _, file in archives.files(source))
    assert os.listdir(tmp_path / "data" / "f") == ["source.json"]
    monkeypatch.chdir("/")
    prepare(tmp_path / "data" / "f" / "source.json", tmp_path / "d.safetensors")
    metadata = load_tensors(tmp_path / "d.safetensors")[1]
    assert metadata["source"] == record["digest"]
    assert (metadata["dataset"], metadata["kind"]) == ("f", "image_folder")
    # With its project it can be moved.
    (tmp_path / "project").mkdir()
    for name in ("mine", "data"):
        (tmp_path / name).rename(tmp_path / "project" / name)
    prepare(tmp_path / "project" / "data" / "f" / "source.json", tmp_path / "e.safetensors")
    assert load_tensors(tmp_path / "e.safetensors")[1] == metadata


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
        (changed(kind="gone"), "kind of dataset 'gone' does not exist"),
        (changed(options={"sise": 3}), "'image_folder' has no option sise"),
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


@pytest.mark.skipif(not REAL, reason="no CIFAR-10 JPEG archive; name one in JACKPOT_CIFAR10_JPEG")
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
