"""What of the code counts for a result, and what is left out."""

import ast
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import jackpot.fingerprints
from jackpot.errors import JackpotError
from jackpot.files.atomic import write_json
from jackpot.files.tensors import save_tensors
from jackpot.fingerprints import Reader, _not_python, _reached, code_of, code_of_file, recorded
from tests.support import PACKAGE
from tests.support.studies import changed

STAGES = ("pretrain", "prune", "prune_iteratively", "retrain", "corrupt", "report")


METHODS = ("checks.random_labels", "checks.rearranged", "pruning.scores.snip")


HASHED = ("models.initial", *METHODS, *(f"stages.{stage}" for stage in STAGES))


def code_fingerprints(folder):
    """The fingerprints of the package as it stands in a folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jackpot.fingerprints, "PACKAGE", folder / "jackpot")
        patch.setattr(jackpot.fingerprints, "_not_python", _not_python.__wrapped__)
        return {name: code_of.__wrapped__(f"jackpot.{name}") for name in HASHED}


@pytest.fixture(scope="module")
def before():
    """Those of the package as it is."""
    return code_fingerprints(PACKAGE.parent)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("pruning/make_masks.py", {"stages.prune", "stages.prune_iteratively"}),
        ("pruning/scores/snip.py", {"pruning.scores.snip"}),
        ("training/engine.py", {"stages.pretrain", "stages.retrain", "stages.prune_iteratively"}),
        ("stages/retrain.py", {"stages.retrain"}),
        ("study/model.py", set()),
        ("running/alone.py", set()),
        ("checks/rearranged.py", {"checks.rearranged"}),
        ("analysis/claims.py", {"stages.report"}),
    ],
)
def test_code_counts_for_the_stages_that_use_it(before, tmp_path, file, expected):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    with open(tmp_path / "jackpot" / file, "a") as source:
        source.write("\n# a comment\n")
    assert code_fingerprints(tmp_path) == before
    with open(tmp_path / "jackpot" / file, "a") as source:
        source.write("\nMEANING = 42\n")
    assert changed(before, code_fingerprints(tmp_path)) == expected


def test_what_lies_beside_the_code_counts_only_if_it_decides_something(before, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    for folder in ("training", "pruning/scores", "report/templates"):
        for name in (".engine.py.swp", "engine.py~", ".DS_Store", "#engine.py#", ".page.css.swp"):
            (tmp_path / "jackpot" / folder / name).write_text("an editor's")
        cache = tmp_path / "jackpot" / folder / "__pycache__"
        cache.mkdir(exist_ok=True)
        (cache / "engine.cpython-311.pyc.139812").write_text("half written")
    assert code_fingerprints(tmp_path) == before
    with open(tmp_path / "jackpot" / "report/templates/page.css", "a") as file:
        file.write("p { color: red }\n")
    assert changed(before, code_fingerprints(tmp_path)) == {"stages.report"}


def test_every_file_beside_the_code_is_of_a_kind_that_counts():
    listed = subprocess.run(
        ["git", "ls-files", "."], cwd=PACKAGE, capture_output=True, text=True, check=True
    )
    suffixes = {Path(name).suffix for name in listed.stdout.splitlines()}
    assert suffixes == {".py", *jackpot.fingerprints.DATA_FILES}


TRAININGS = {"stages.pretrain", "stages.retrain", "stages.prune_iteratively"}


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        # Words: what a job prints, what an error says, what a check asks, docstrings.
        ("training/results.py", " epochs in ", " epochs, which took ", set()),
        ("training/resume.py", "belongs to other settings, data or code", "is of another", set()),
        ("training/engine.py", "goes on at epoch", "continues with epoch", set()),
        ("training/engine.py", "The state of one training", "One training's state", set()),
        ("pruning/allocation/__init__.py", "whole numbers, one a layer", "integers", set()),
        ("pruning/scores/__init__.py", "must return a dictionary", "gives a mapping", set()),
        ("data/files.py", "a dataset needs two or more distinct", "there are too few", set()),
        ("stages/prune.py", "there is nothing to rank", "nothing can be ranked", set()),
        ("checks/rearranged.py", "Does it matter which", "Is it of weight which", set()),
        # Arithmetic, each at its own stage.
        ("training/sgd.py", "alpha=-lr", "alpha=-2 * lr", TRAININGS),
        ("training/schedule.py", "(1 - (epoch", "(2 - (epoch", TRAININGS),
        ("pruning/scores/snip.py", ".abs()", ".square()", {"pruning.scores.snip"}),
        # What a batch is, the scores have from there.
        (
            "pruning/batch.py",
            "labels",
            "marks",
            {"stages.prune", "stages.prune_iteratively", "pruning.scores.snip"},
        ),
        ("checks/rearranged.py", "keep.numel()", "len(keep)", {"checks.rearranged"}),
        ("stages/retrain.py", "fresh = partial", "drawn = partial", {"stages.retrain"}),
    ],
)
def test_rewording_redoes_nothing_and_other_arithmetic_its_own_stage(
    before, tmp_path, file, old, new, expected
):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    source = tmp_path / "jackpot" / file
    text = source.read_text()
    assert old in text
    source.write_text(text.replace(old, new))
    assert changed(before, code_fingerprints(tmp_path)) == expected


@pytest.mark.parametrize(
    "file",
    ["report/templates/page.css", "report/templates/page.html.j2", "analysis/data/reported.csv"],
)
def test_the_page_is_made_anew_when_what_it_shows_changes(before, tmp_path, file):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    with open(tmp_path / "jackpot" / file, "a") as source:
        source.write(" ")
    assert changed(before, code_fingerprints(tmp_path)) == {"stages.report"}


def test_a_new_check_or_score_leaves_the_others_alone(before, tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "jackpot")
    new = tmp_path / "jackpot" / "checks" / "mirrored.py"
    new.write_text('QUESTION = "Upside down?"\n\n\ndef mask(mask, generator):\n    return mask\n')
    score = tmp_path / "jackpot" / "pruning" / "scores" / "depth.py"
    score.write_text("USES_DATA = False\n\n\ndef depth(model, data, generator):\n    return {}\n")
    assert code_fingerprints(tmp_path) == before


@pytest.mark.parametrize(
    ("one", "two", "other"),
    [
        (
            'QUESTION = "Why?"\ndef f(x):\n    print("one")\n    raise JackpotError(f"{x}?")\n',
            'QUESTION = "Why, then?"\ndef f(x):\n    print(x)\n    raise JackpotError("wrong")\n',
            'QUESTION = "Why?"\ndef f(x):\n    print("one")\n    raise ValueError("wrong")\n',
        ),
        (
            'def f(x):\n    """Say it."""\n    return (x +\n            1)  # why\n',
            "def f(x):\n    return x + 1\n",
            "def f(x):\n    return x + 2\n",
        ),
    ],
    ids=["words for people", "comments, docstrings and layout"],
)
def test_what_decides_no_number_does_not_count(one, two, other):
    first, same, different = (Reader().dump(ast.parse(text)) for text in (one, two, other))
    assert first == same != different


EVERY_KIND = """
from a import b as c
@wrapped(1, *xs, key=None, **more)
class One(Base, meta=int):
    x: int = 1
    def f(self, /, a, b=2, *args, c, d=None, **kw) -> list[str] | None:
        if (n := len(a)) > 1 and not b or a is None:
            yield [i for i in a if i], {**kw, 1: -2.5}, {1, 2}, b"x", 1j, ..., True
        elif a[1:2, ::3] <= b != c:
            return f"{a!r:>{b}} {{}} {c:.2f}" "two" or (lambda y, *z: y @ z ** 2)
        try:
            async_, (d, *e) = await_, (1, *a)
            a.b[0] += 1
        except (ValueError, TypeError) as error:
            raise X from error
        else:
            del a
        finally:
            global g
            assert a, "b"
        while True:
            break
        for k in a:
            continue
        with open(a) as h, i:
            pass
        match a:
            case [1, *rest] | {"k": v, **other} if v:
                pass
            case One(x=1) | None | _:
                pass
async def main():
    async with a: await b
"""


STAGE = "jackpot.stages.collect"


class _Whole(Reader):
    def strip(self, node):
        pass


def test_the_same_code_has_one_fingerprint_on_every_python():
    """Found by Python 3.11; ast.dump of 3.12 and 3.13 says something else of nearly all code."""
    text = Reader(sentences=True).dump(ast.parse(EVERY_KIND))
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "fbff34106549d8fc"
    if sys.version_info[:2] == (3, 11):
        for file in PACKAGE.rglob("*.py"):
            tree = ast.parse(file.read_text())
            assert _Whole().dump(tree) == ast.dump(tree)


@pytest.mark.parametrize("is_package", [True, False])
@pytest.mark.parametrize(
    "how",
    [
        "from mine.helper import C",
        "from .helper import C",
        "from helper import C",
        "from . import helper",
    ],
)
def test_what_lies_beside_a_users_file_belongs_to_it(tmp_path, how, is_package):
    """By whichever name: as a module of a package, with or without __init__.py, or as a file."""
    package = tmp_path / "mine"
    package.mkdir()
    names = {"score": how, "helper": "C = 1", "other": "C = 1"}
    for name, text in {**names, **({"__init__": ""} if is_package else {})}.items():
        (package / f"{name}.py").write_text(f"{text}\n")
    before = code_of_file(str(package / "score.py"))
    (package / "other.py").write_text("C = 2\n")
    code_of_file.cache_clear()
    assert code_of_file(str(package / "score.py")) == before
    (package / "helper.py").write_text("C = 2\n")
    code_of_file.cache_clear()
    assert code_of_file(str(package / "score.py")) != before


def test_a_question_may_be_put_in_other_words(tmp_path):
    path, found = tmp_path / "own.py", set()
    for question in ('QUESTION = "One?"', 'QUESTION: str = "Two?"', 'QUESTION: str = "Three?"'):
        path.write_text(f"{question}\ndef mask(mask, generator):\n    return mask\n")
        code_of_file.cache_clear()
        found.add(code_of_file(str(path)))
    assert len(found) == 2, "the annotation is code, the words are not"


def test_what_collects_hangs_on_no_word_of_the_page():
    assert not any(name.startswith("jackpot.report") for name in _reached([STAGE], None))


def test_what_is_installed_beside_a_users_module_is_not_its_own(tmp_path):
    """Or all of torch would be read for a score that is installed."""
    site = tmp_path / "site-packages"
    for folder in ("mine", "torch"):
        (site / folder).mkdir(parents=True)
        (site / folder / "__init__.py").write_text("")
    text = "import torch\nfrom mine import helper\n"
    for name in ("mine/score.py", "alone.py"):
        (site / name).write_text(text)
    (site / "mine" / "helper.py").write_text("C = 1\n")
    before = {name: code_of_file(str(site / name)) for name in ("mine/score.py", "alone.py")}
    (site / "torch" / "__init__.py").write_text("C = 1\n")
    code_of_file.cache_clear()
    assert before == {name: code_of_file(str(site / name)) for name in before}
    (site / "mine" / "helper.py").write_text("C = 2\n")
    code_of_file.cache_clear()
    assert before["mine/score.py"] != code_of_file(str(site / "mine" / "score.py"))


@pytest.mark.parametrize(
    "line", ["x = ScaledError(sign={})", "x = damaged(w, 0.{})", "raise ValueError({})"]
)
def test_nothing_in_a_users_call_is_taken_for_words(tmp_path, line):
    """``MeanSquaredError`` may be a loss, and ``damaged`` a check's helper."""
    found = set()
    for number in (1, 2):
        path = tmp_path / f"own{number}.py"
        path.write_text(f"def f(w):\n    {line.format(number)}\n")
        found.add(code_of_file(str(path)))
    assert len(found) == 2


def test_a_helper_that_is_no_python_is_named(tmp_path):
    (tmp_path / "mine.py").write_text("import helper\n")
    helper = tmp_path / "helper.py"
    for content, why in ((b"x = 1\ndef f(:\n", "line 2: "), (b"\xff", "'utf-8' codec can't")):
        helper.write_bytes(content)
        with pytest.raises(JackpotError, match=f"^{helper}: cannot be read: {why}"):
            code_of_file(str(tmp_path / "mine.py"))


def test_the_fingerprint_in_a_file_can_be_read_back(tmp_path):
    import torch

    weights, metrics = tmp_path / "w.safetensors", tmp_path / "metrics.json"
    save_tensors(weights, {"w": torch.rand(3)}, {"fingerprint": "abc"})
    write_json(metrics, {"fingerprints": {"run": "def"}})
    assert (recorded(str(weights)), recorded(str(metrics))) == ("abc", "def")
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(weights.read_bytes()[:20])
    assert recorded(str(broken)) is None and recorded(str(tmp_path / "none.json")) is None
    for number, other in enumerate(["7", "Infinity", '["abc"]', '{"a": 1}', "null"]):
        wrong = tmp_path / f"{number}.json"
        wrong.write_text(f'{{"fingerprints": {{"run": {other}}}}}')
        assert recorded(str(wrong)) is None
