"""What a user, a clock, a name or a second terminal can do to a study."""

import base64
import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import yaml

from jackpot.fingerprints import digest
from jackpot.running.again import BECAUSE
from tests.support import need
from tests.support.processes import wait_for
from tests.support.snake import STUDY, Clone, kill_all

pytestmark = pytest.mark.workflow

ONE = {"experiments": [{"tickets": ["snip"], "sparsities": [0.8], "seeds": [0]}]}
LONG = {**ONE, "training": {**STUDY["training"], "epochs": 4000}}
PROFILE_OFF = ["--workflow-profile", "none", "--scheduler", "greedy"]


def metrics_of(clone):
    return clone.root / clone.run_of("snip") / "metrics.json"


def at_work(clone, process):
    """Wait until a Snakemake has the lock and a training is under way."""

    def signed():
        lock = clone.root / ".lock"
        return lock.exists() and f"process {process.pid} on" in lock.read_text()

    wait_for(signed)
    wait_for(lambda: list(clone.root.glob("masks/**/*.safetensors")))


def test_a_second_snakemake_is_refused_and_harms_nothing(tmp_path):
    need(Path("/proc/self/environ").exists(), "kills by /proc")
    clone = Clone(tmp_path / "one", results=tmp_path / "shared", study=LONG)
    twin = Clone(tmp_path / "two", results=tmp_path / "shared", study=LONG)
    target = f"{clone.run_of('snip')}/metrics.json"
    first = clone.start(target)
    at_work(clone, first)
    for second in (clone, twin):
        status, text = second.snakemake(target)
        assert status == 1 and "Traceback" not in text, text
        assert f"{clone.root}: another Snakemake is at work here (process {first.pid} on " in text
        assert "Wait for it to end" in text and "Execute" not in text
    assert twin.snakemake(target, options=["-n"])[0] == 0, "to look is allowed"
    assert first.poll() is None and list(clone.root.glob("masks/**/*.safetensors"))
    # Killed before anything ended, it holds nothing, and no --unlock is asked for.
    kill_all(first)
    settings = yaml.safe_load((clone.folder / "study.yaml").read_text())
    settings["training"]["epochs"] = 1
    (clone.folder / "study.yaml").write_text(yaml.safe_dump(settings))
    clone.make(target)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A study of one run whose data, weights and mask are made, and no more."""
    clone = Clone(tmp_path_factory.mktemp("prepared"), study=ONE)
    clone.make("masks/digits/vgg5/snip/clean/seed0/sparsity0.8.safetensors")
    return clone


@pytest.fixture
def begun(prepared, tmp_path):
    """A copy of it, with Snakemake's memory."""
    shutil.copytree(prepared.folder, tmp_path / "copy", symlinks=True)
    clone = Clone.__new__(Clone)
    clone.folder = tmp_path / "copy"
    clone.root = clone.folder / "results" / "small"
    config = clone.folder / "config.yaml"
    config.write_text(config.read_text().replace(str(prepared.folder), str(clone.folder)))
    # Snakemake remembers by path.
    memory = clone.folder / ".snakemake" / "metadata"
    for record in [file for file in memory.rglob("*") if file.is_file()]:
        path = base64.b64decode(record.name).decode()
        moved = path.replace(str(prepared.folder), str(clone.folder)).encode()
        text = record.read_text().replace(str(prepared.folder), str(clone.folder))
        record.unlink()
        (memory / base64.b64encode(moved).decode()).write_text(text)
    return clone


def mark_incomplete(clone, path):
    """As a Snakemake does that is killed just as a job has written its file."""
    folder = clone.folder / ".snakemake" / "incomplete"
    folder.mkdir(exist_ok=True)
    (folder / base64.b64encode(str(path).encode()).decode()).write_text("")


def test_a_mark_on_a_whole_file_keeps_nothing_from_being_made(begun):
    clean = begun.root / "data" / "digits" / "clean.safetensors"
    mark_incomplete(begun, clean)
    before = clean.stat().st_mtime_ns
    text = begun.make("report.html")
    assert (begun.root / "report.html").exists() and metrics_of(begun).exists()
    assert clean.stat().st_mtime_ns == before and "prepare digits" not in text


def test_a_call_that_made_less_than_asked_for_goes_on_by_itself(begun):
    """Without the profile, Snakemake makes the marked file again and leaves out what follows."""
    mark_incomplete(begun, begun.root / "data" / "digits" / "clean.safetensors")
    said = begun.make("report.html", options=[*PROFILE_OFF, "--rerun-incomplete"])
    assert (begun.root / "report.html").exists()
    assert said.count("Building DAG of jobs") == 2, "the same command once more"


def test_a_call_that_still_lacks_what_was_asked_for_fails(begun, monkeypatch):
    """As after the second call above, had that made nothing either: no third, and not status 0."""
    mark_incomplete(begun, begun.root / "data" / "digits" / "clean.safetensors")
    page = str(begun.root / "report.html")
    monkeypatch.setenv(BECAUSE, digest([page]))
    status, said = begun.snakemake("report.html", options=[*PROFILE_OFF, "--rerun-incomplete"])
    assert status == 1 and not Path(page).exists()
    assert f"1 of the files asked for are still to be made, {page} first" in said


def images(folder, shade):
    from PIL import Image

    for part in ("train", "test"):
        for label in ("a", "b"):
            (folder / part / label).mkdir(parents=True)
            for number in range(8):
                colour = (shade + 10 * number + (100 if label == "b" else 0),) * 3
                Image.new("RGB", (8, 8), colour).save(folder / part / label / f"{number}.png")
    return folder


def test_a_study_edited_while_it_runs_is_not_reported_as_it_was_run(begun):
    """And put back later, so that at the end nothing seems to have happened."""
    study = begun.folder / "study.yaml"
    settings = yaml.safe_load(study.read_text())

    def set_epochs(epochs):
        settings["training"]["epochs"] = epochs
        study.write_text(yaml.safe_dump(settings))

    set_epochs(200)
    process = begun.start("about.json")
    at_work(begun, process)
    set_epochs(201)
    said, _ = process.communicate(timeout=300)
    assert process.returncode != 0 and "was changed while Snakemake was at work" in said, said
    assert not (begun.root / "about.json").exists()
    trained = begun.metrics(begun.run_of("snip"))
    assert trained["epochs"] == 200
    set_epochs(200)
    begun.make("about.json")
    about = json.loads((begun.root / "about.json").read_text())
    assert about["study"]["training"]["epochs"] == 200
    assert begun.metrics(begun.run_of("snip")) == trained, "nothing is lost"


def test_a_dataset_that_is_somewhere_else_now_is_made_anew_in_one_call(tmp_path):
    study = {**ONE, "datasets": {"digits": {"kind": "image_folder", "path": "one"}}}
    study["training"] = {**STUDY["training"], "epochs": 1, "batch_size": 4}
    study["pruning_batch"] = {"samples_per_class": 4}
    clone = Clone(tmp_path / "clone", study=study)
    images(clone.folder / "one", 0)
    clone.make("runs.csv")
    weights = clone.metrics(clone.run_of("snip"))["weights_sha256"]
    images(clone.folder / "two", 60)
    shutil.rmtree(clone.folder / "one")
    study["datasets"] = {"digits": {"kind": "image_folder", "path": "two"}}
    (clone.folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **study}))
    clone.make("runs.csv")
    assert clone.metrics(clone.run_of("snip"))["weights_sha256"] != weights
    assert "Nothing to be done" in clone.make("runs.csv", options=["-n"])


@pytest.mark.parametrize("name", ["r s é $(touch x)'y\"`touch x`;touch x", "-n * ?#%@!&"])
def test_odd_names_of_folders_are_names_of_folders(tmp_path, name):
    folder = tmp_path / "clone"
    study = {**ONE, "training": {**STUDY["training"], "epochs": 1}}
    study["experiments"] = [{"tickets": ["dense", "snip"], "sparsities": [0.8], "seeds": [0]}]
    clone = Clone(folder, study=study, results=folder / f"{name} r", data=folder / f"{name} d")
    clone.make("runs.csv", "verdicts.csv", "figures/tickets.svg")
    made = {entry.name for entry in folder.iterdir() if not entry.name.startswith(".")}
    there = {"Snakefile", "workflow", "profiles", "envs", "study.yaml", "config.yaml"}
    assert made == there | {f"{name} r", f"{name} d"}
    assert not list(folder.rglob("x"))


def test_a_clone_in_an_odd_folder(tmp_path):
    """Braces in it are more than Snakemake's own ``conda:`` can bear."""
    Clone(tmp_path / "c l ö $(touch x)'\"y", study=ONE).make("runs.csv")
    assert not list(tmp_path.rglob("x"))


def test_braces_in_a_folder_are_refused(tmp_path):
    clone = Clone(tmp_path, study=ONE, results=tmp_path / "{y}")
    status, text = clone.snakemake()
    assert status == 1 and "results_dir: braces stand for wildcards" in text
    assert "Traceback" not in text and not (tmp_path / "{y}").exists()


def test_a_name_with_a_dot_names_itself_alone(tmp_path):
    """``a.b`` as a pattern would also be ``axb``, which is another pruner here, and iterative."""
    pruner = {"score": "magnitude", "weights": "trained"}
    study = {
        "training": {**STUDY["training"], "epochs": 1},
        "pruners": {"a.b": {**pruner, "iterations": 2}, "axb": pruner},
        "tickets": {"d.e": {"pruner": "a.b"}, "dxe": {"pruner": "axb"}, "de.se": {"pruner": None}},
        "experiments": [
            {"tickets": ["d.e", "dxe", "de.se"], "sparsities": [0.8], "seeds": [0]},
        ],
    }
    clone = Clone(tmp_path, study=study)
    clone.make("runs.csv")
    tickets = {path.name for path in (clone.root / "runs/digits/vgg5").iterdir()}
    assert tickets == {"d.e", "dxe", "de.se"}


def test_results_of_the_future(begun):
    future = time.time() + 3e5
    for folder in (begun.root, begun.folder / "data"):
        for path in folder.rglob("*"):
            os.utime(path, (future, future))
    (begun.root / "data/digits/clean.safetensors").unlink()
    begun.make("runs.csv")
    assert "Nothing to be done" in begun.make("runs.csv", options=["-n"])


def test_without_docstrings_and_asserts(begun, monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    begun.make("report.html")
    status, text = begun.script("retrain", "--help")
    assert status == 0 and "--learning-rate" in text


def test_a_folder_that_a_stranger_made_first_stops_no_call(tmp_path, monkeypatch):
    need(os.geteuid() == 0 and sys.platform == "linux", "another user is played by root")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "jackpot-0").mkdir()
    os.chown(tmp_path / "jackpot-0", 65534, 65534)
    Clone(tmp_path / "clone", study=ONE).make("runs.csv")
    assert not list((tmp_path / "jackpot-0").iterdir())
    assert list(tmp_path.glob("jackpot-0-*")), "its jobs were forks of a process that listens there"


def crash(clone, number):
    """A score of the user's that ends its process by a signal."""
    (clone.folder / "mine.py").write_text(
        "import os\n\n\ndef score(model, data, generator):\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
    )


@pytest.mark.parametrize(
    ("warm", "number", "words"),
    [
        (False, signal.SIGSEGV, "error: prune crashed (segmentation fault)"),
        (True, signal.SIGKILL, "error: prune was killed (signal 9), most likely because memory"),
    ],
)
def test_a_signal_that_ends_a_job_is_put_into_words(tmp_path, warm, number, words):
    need(sys.platform == "linux", "warm processes need Linux")
    study = {
        "pruners": {"mine": {"score": "mine.py:score"}},
        "tickets": {"mine": {"pruner": "mine"}},
        "experiments": [{"tickets": ["mine"], "sparsities": [0.8], "seeds": [0]}],
    }
    clone = Clone(tmp_path, study=study, warm_processes=warm)
    crash(clone, number)
    status, text = clone.snakemake("runs.csv")
    assert status == 1, text
    log = clone.root / "logs/prune/digits/vgg5/mine/clean/seed0.log"
    assert words in log.read_text().splitlines()[-1]
    end = text[text.index("What failed:") :]
    assert "- prune vgg5 on digits (clean): mine, seed 0\n" in end
    assert words in end and f"log: {log}" in end
    assert "--fingerprint" not in text and "set -euo" not in text, "no command is printed"


def test_the_reason_names_the_setting_that_changed(begun):
    begun.make("runs.csv")
    settings = yaml.safe_load((begun.folder / "study.yaml").read_text())
    settings["training"]["learning_rate"] = 0.05
    (begun.folder / "study.yaml").write_text(yaml.safe_dump(settings))
    text = begun.make("runs.csv", options=["-n"])
    change = r"\(changed: learning_rate 0\.1 -> 0\.05\)"
    assert re.search(rf"^Job \d+: retrain .* {change}$", text, re.MULTILINE), text
    (collect,) = re.findall(r"^Job \d+: collect .*", text, re.MULTILINE)
    assert "changed" not in collect
