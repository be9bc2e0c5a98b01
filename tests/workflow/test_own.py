"""A newcomer's files, as pages and README show them, through the real workflow to the report."""

import json
import re

import pytest

from tests.support.pages import parts_of_studies, write_files
from tests.support.snake import Clone

pytestmark = pytest.mark.workflow

EXPERIMENTS = [
    {
        "tickets": ["depth", "thirds", "gradient_norm"],
        "checks": ["mirrored", "reinitialized", ["shuffled_weights", "rearranged"]],
        "sparsities": [0.5],
        "seeds": [0, 1],
    },
    {
        "tickets": ["hybrid"],
        "checks": ["negative", ["half_dataset", "mirrored"]],
        "sparsities": [0.5],
        "seeds": [0, 1],
    },
]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The study of the pages' YAML blocks, run once."""
    study = {}
    for part in parts_of_studies():
        for key, value in part.items():
            study[key] = {**study.get(key, {}), **value} if isinstance(value, dict) else value
    training = {"epochs": 2, "crop_padding": 1, "flip": False}
    study |= {"experiments": EXPERIMENTS, "training": training}
    clone = Clone(tmp_path_factory.mktemp("own"), study=study)
    write_files(clone.folder)
    clone.make("report.html", "figures/sanity_checks.svg", "figures/verdicts.svg", cores=2)
    return clone


def test_every_cell_has_a_result_and_a_verdict(own):
    runs = (own.root / "runs.csv").read_text()
    verdicts = (own.root / "verdicts.csv").read_text()
    for cell in (
        "bars,mixer,depth,mirrored,0.5",
        "bars,mixer,thirds,rearranged+shuffled_weights,0.5",
        "bars,mixer,hybrid,negative,0.5",
        "bars,mixer,hybrid,half_dataset+mirrored,0.5",
    ):
        assert cell in runs and cell in verdicts
    # The spoiled data of a combination are those of its data check.
    made = {path.stem for path in (own.root / "data" / "bars").glob("*.safetensors")}
    assert made == {"clean", "negative", "half_dataset"}


def test_the_page_names_them_and_what_they_spoil(own):
    page = (own.root / "report.html").read_text()
    for words in ("mirrored", "rearranged + shuffled weights", "half dataset + mirrored"):
        assert words in page
    for spoiled in ("spoils: mask<", "spoils: mask and weights<", "spoils: data and weights<"):
        assert spoiled in page
    assert "another part" not in page
    # Their own questions, and those of the built-in checks beside them.
    assert "Is the ticket the same" in page and "They are drawn anew under the same mask" in page
    # Labels of an SVG are comments beside their outlines.
    labels = re.findall("<!-- (.*) -->", (own.root / "figures" / "verdicts.svg").read_text())
    assert "mask" in labels and "other" not in labels, labels


def test_a_seed_gives_the_weights_again_and_reinitialized_others(own):
    def digest(ticket, check):
        path = own.root / f"runs/bars/mixer/{ticket}/{check}/sparsity0.5/seed0/metrics.json"
        return json.loads(path.read_text())["weights_sha256"]

    path = own.root / "runs/bars/mixer/depth/reinitialized/sparsity0.5/seed0"
    before = digest("depth", "reinitialized")
    for file in path.iterdir():
        file.unlink()
    own.make("runs/bars/mixer/depth/reinitialized/sparsity0.5/seed0/metrics.json")
    assert digest("depth", "reinitialized") == before != digest("depth", "none")


@pytest.mark.parametrize(
    ("file", "old", "new", "redone", "kept"),
    [
        ("mine.py", "keep.flip(0)", "keep.flip(-1)", {"retrain", "corrupt"}, {"initialise"}),
        ("mine.py", "Is the ticket the same", "Is it the same", {"collect"}, {"retrain"}),
        ("depth.py", "0.5**position", "0.6**position", {"prune"}, {"initialise", "prepare"}),
        ("net.py", "nn.GELU()", "nn.ReLU()", {"initialise", "pretrain"}, {"prepare"}),
        ("bars.py", "+= 100", "+= 90", {"prepare", "initialise", "corrupt"}, set()),
    ],
)
def test_an_edit_redoes_what_it_decides(own, file, old, new, redone, kept):
    text = (own.folder / file).read_text()
    assert old in text
    (own.folder / file).write_text(text.replace(old, new))
    try:
        said = own.make("report.html", options=["-n"])
    finally:
        (own.folder / file).write_text(text)
    jobs = set(re.findall(r"^(\w+) +\d+$", said, re.MULTILINE))
    assert redone <= jobs and not kept & jobs


@pytest.mark.parametrize(
    ("file", "old", "target", "log"),
    [
        (
            "depth.py",
            "prunable(model)",
            "masks/bars/mixer/depth/clean/seed0/sparsity0.5.safetensors",
            "prune/bars/mixer/depth/clean/seed0.log",
        ),
        (
            "thirds.py",
            "sum(layer_sizes)",
            "masks/bars/mixer/thirds/clean/seed0/sparsity0.5.safetensors",
            "prune/bars/mixer/thirds/clean/seed0.log",
        ),
        (
            "mine.py",
            "keep.flip(0)",
            "runs/bars/mixer/depth/mirrored/sparsity0.5/seed0/metrics.json",
            "retrain/bars/mixer/depth/mirrored/sparsity0.5/seed0.log",
        ),
        (
            "bars.py",
            "np.random.default_rng(0)",
            "data/bars/clean.safetensors",
            "prepare/bars.log",
        ),
        (
            "net.py",
            "self.patches(x)",
            "weights/bars/mixer/seed0/init.safetensors",
            "initialise/bars/mixer/seed0.log",
        ),
    ],
    ids=["score", "allocation", "check", "dataset", "model"],
)
def test_an_error_in_the_users_code_is_told_without_ours(own, file, old, target, log):
    text = (own.folder / file).read_text()
    assert old in text
    (own.folder / file).write_text(text.replace(old, f"{old}.nothing"))
    try:
        status, _ = own.snakemake(target)
    finally:
        (own.folder / file).write_text(text)
    said = (own.root / "logs" / log).read_text()
    assert status != 0 and "AttributeError" in said
    assert file in said and "/jackpot/" not in said.replace("/docs/", "")


def test_a_helper_that_is_no_python_is_told_before_any_job(own):
    text = (own.folder / "mine.py").read_text()
    (own.folder / "mine.py").write_text(f"import helper\n{text}")
    (own.folder / "helper.py").write_text("def f(:\n")
    try:
        status, said = own.snakemake("runs.csv")
        status_of_script, said_of_script = own.script("stale")
    finally:
        (own.folder / "mine.py").write_text(text)
        (own.folder / "helper.py").unlink()
    why = "helper.py: cannot be read: line 1"
    assert status == 1 and why in said and "SyntaxError" not in said, said
    assert status_of_script == 1 and said_of_script.startswith("error: ")
    assert why in said_of_script
