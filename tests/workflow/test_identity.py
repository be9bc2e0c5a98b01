"""What a result was made from is what decides it: the user's own files, data and settings."""

import csv
import json
import shutil

import pytest
import torch
import yaml
from PIL import Image

from tests.support.snake import Clone

pytestmark = pytest.mark.workflow
OWN = {
    "pruners": {"mine": {"score": "mine.py:score", "allocation": "share.py:share"}},
    "tickets": {"mine": {"pruner": "mine"}},
    "experiments": [{"tickets": ["dense", "mine"], "sparsities": [0.8], "seeds": [0]}],
}
FILES = {
    "helper.py": "FACTOR = 1.0\n",
    "mine.py": (
        "from helper import FACTOR\n\n\n"
        "def score(model, data, generator):\n"
        '    """Magnitude, times a factor."""\n'
        "    return {n: FACTOR * p.detach().abs() for n, p in model.named_parameters()"
        " if p.dim() > 1}\n"
    ),
    "share.py": (
        "def share(layer_sizes, density, *, shapes, family):\n"
        "    counts = [int(density * size) for size in layer_sizes]\n"
        "    counts[0] += round(density * sum(layer_sizes)) - sum(counts)\n"
        "    return counts\n"
    ),
}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A study with a score and an allocation of the user's, run once."""
    clone = Clone(tmp_path_factory.mktemp("own"), study=OWN)
    for name, text in FILES.items():
        (clone.folder / name).write_text(text)
    clone.make("runs.csv", cores=2)
    return clone


def test_what_the_users_files_say_is_part_of_the_masks(own):
    def plan():
        text = own.make("runs.csv", options=["-n"])
        return "Nothing to be done" not in text and "prune" in text

    assert not plan()
    edits = {
        "helper.py": ("1.0", "2.0", True),
        "share.py": ("counts[0]", "counts[-1]", True),
        "mine.py": ("Magnitude, times a factor.", "Reworded.", False),
    }
    for name, (old, new, redone) in edits.items():
        (own.folder / name).write_text(FILES[name].replace(old, new))
        assert plan() == redone, name
        (own.folder / name).write_text(FILES[name])
    assert not plan()


def test_results_that_another_clone_has_put_here_are_not_todays(tmp_path):
    """Both write to one folder, and each remembers what it has made there itself."""
    experiments = [{"tickets": ["dense", "random"], "sparsities": [0.8], "seeds": [0]}]
    clones = [
        Clone(
            tmp_path / str(epochs),
            results=tmp_path / "results",
            study={"experiments": experiments, "training": {"epochs": epochs}},
        )
        for epochs in (1, 2)
    ]

    def epochs():
        with open(clones[0].root / "runs.csv") as file:
            return {int(row["epochs"]) for row in csv.DictReader(file)}

    for clone, asked in ((clones[0], 1), (clones[1], 2), (clones[0], 1), (clones[1], 2)):
        clone.make("runs.csv", "verdicts.csv", cores=2)
        assert epochs() == {asked}
    # One that was only copied into the place of ours, and tables that only were.
    made = clones[1].root / clones[1].run_of("random")
    shutil.copytree(clones[1].root, tmp_path / "kept")
    clones[0].make("runs.csv", cores=2)
    shutil.copytree(tmp_path / "kept" / made.relative_to(clones[0].root), made, dirs_exist_ok=True)
    assert "retrain" in clones[0].make("runs.csv", options=["-n"])
    text = clones[0].make("runs.csv", options=["-n", "--config", "partial=true"])
    assert "retrain" not in text and "collect" in text
    clones[0].make("runs.csv", cores=2)
    for name in ("runs.csv", "about.json"):
        shutil.copy(tmp_path / "kept" / name, clones[0].root)
    clones[0].make("runs.csv", cores=2)
    assert epochs() == {1}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("allocation", "nope.py:f", "there is no file nope.py"),
        ("allocation", "share.py:g", "defines no function 'g'"),
        ("score", "nope.py:f", "there is no file nope.py"),
    ],
)
def test_what_does_not_exist_is_refused_before_any_job(own, key, value, message):
    study = own.folder / "study.yaml"
    before = study.read_text()
    values = yaml.safe_load(before)
    values["pruners"]["mine"][key] = value
    study.write_text(yaml.safe_dump(values))
    status, text = own.snakemake("runs.csv")
    study.write_text(before)
    assert status != 0 and message in text


def pictures(folder, seed):
    """A folder of little pictures in two classes."""
    draws = torch.Generator().manual_seed(seed)
    for split, count in (("train", 24), ("test", 8)):
        for label in ("a", "b"):
            (folder / split / label).mkdir(parents=True)
            for i in range(count):
                pixels = torch.randint(256, (8, 8, 3), generator=draws, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / split / label / f"{i}.png")
    return str(folder)


def test_other_images_are_taken_in_by_the_next_call(tmp_path):
    one, two = pictures(tmp_path / "one", 1), pictures(tmp_path / "two", 2)

    def study(path):
        return {
            "datasets": {"mine": {"kind": "image_folder", "path": path, "size": 8}},
            "experiments": [{"tickets": ["dense"], "seeds": [0]}],
        }

    clone = Clone(tmp_path / "clone", study=study(str(tmp_path / "none")))
    result = "runs/mine/vgg5/dense/none/sparsity0/seed0/metrics.json"
    status, said = clone.snakemake(result)
    # Before the first job.
    assert status != 0 and "] Job " not in said, said
    missing = f"dataset mine: {tmp_path / 'none'} does not exist. Fix its `path`"
    assert missing in said
    status, said = clone.snakemake(result, options=["-n"])
    assert status == 0 and f"warning: {missing}" in said
    weights = []
    for path in (one, two):
        values = yaml.safe_load((clone.folder / "study.yaml").read_text())
        (clone.folder / "study.yaml").write_text(yaml.safe_dump({**values, **study(path)}))
        clone.make(result)
        assert "Nothing to be done" in clone.make(result)
        weights.append(json.loads((clone.root / result).read_text())["weights_sha256"])
    assert weights[0] != weights[1]
    # A finished study needs its images no more.
    shutil.rmtree(tmp_path / "two")
    status, said = clone.snakemake(result, options=["-n"])
    assert status == 0 and "does not exist" not in said, said
    # Nor does one that was brought here without what came before its results.
    shutil.rmtree(clone.root / "data")
    status, said = clone.snakemake(result, options=["-n"])
    assert status == 0 and "does not exist" not in said, said


def test_a_folder_that_changed_is_taken_in_after_a_question(tmp_path):
    folder = pictures(tmp_path / "one", 1)

    def study(**more):
        return {
            "datasets": {"mine": {"kind": "image_folder", "path": folder, **more}},
            "experiments": [{"tickets": ["dense"], "seeds": [0]}],
        }

    clone = Clone(tmp_path / "clone", study=study())
    result = "runs/mine/vgg5/dense/none/sparsity0/seed0/metrics.json"
    clone.make(result)
    before = clone.metrics(result.removesuffix("/metrics.json"))["weights_sha256"]
    (tmp_path / "one" / "train" / "a" / "0.png").unlink()
    for options in ([], ["-n"]):
        status, said = clone.snakemake(result, options=options)
        assert status != 0 and "one has changed since it was first read" in said
        assert "`version: 2`" in said and "datasets.mine" in said
    values = yaml.safe_load((clone.folder / "study.yaml").read_text())
    (clone.folder / "study.yaml").write_text(yaml.safe_dump({**values, **study(version=2)}))
    clone.make(result)
    after = clone.metrics(result.removesuffix("/metrics.json"))["weights_sha256"]
    assert before != after
    assert "Nothing to be done" in clone.make(result)


def test_by_hand_the_sparsity_is_that_of_the_mask(small_study, tmp_path):
    root = small_study.root
    status, text = small_study.script(
        "retrain",
        *("--clean", root / "data/digits/clean.safetensors"),
        *("--weights", root / "weights/digits/vgg5/seed0/init.safetensors"),
        *("--mask", root / "masks/digits/vgg5/snip/clean/seed0/sparsity0.8.safetensors"),
        *("--epochs", 1, "--out", tmp_path),
    )
    assert status == 0, text
    assert json.loads((tmp_path / "metrics.json").read_text())["sparsity"] == 0.8


def test_figures_beside_another_target_leaves_nothing_out(small_study, tmp_path):
    shutil.copytree(small_study.results, tmp_path / "results")
    clone = Clone(tmp_path / "both", results=tmp_path / "results", study=small_study.study)
    (clone.root / clone.run_of("snip") / "metrics.json").unlink()
    text = clone.make(options=["-n", "all", "figures"])
    assert "retrain" in text and "collect" in text
    text = clone.make(options=["-n", "figures"])
    assert "retrain" not in text and "draw" in text and "warning: " not in text
    values = yaml.safe_load((clone.folder / "study.yaml").read_text())
    values["training"]["epochs"] += 1
    (clone.folder / "study.yaml").write_text(yaml.safe_dump(values))
    text = clone.make(options=["-n", "figures"])
    assert f"warning: {clone.root}/runs.csv is not what today's study and code would" in text
    assert "retrain" not in text and "draw" in text
