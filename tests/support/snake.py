"""The one way in which tests run Snakemake, and a scratch clone of the repository for it."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml

from jackpot.running.private_folder import private_folder
from tests.support import ROOT, scripts
from tests.support.processes import kill, running

STUDY = {
    "name": "small",
    "datasets": {"digits": {"kind": "digits"}},
    "models": {"vgg5": {"width": 4}},
    "training": {"epochs": 2, "crop_padding": 1, "flip": False},
    "rewind_epoch": 1,
}
# Another workflow, which has ours as a module and a rule on our runs.csv.
OUTER = """
module jackpot:
    snakefile: "ROOT/Snakefile"
    config: dict(study="study.yaml", results_dir="out/jackpot", data_dir="out/data", device="cpu")

use rule * from jackpot as jackpot_*

rule count:
    default_target: True
    localrule: True
    input: "out/jackpot/small/runs.csv"
    output: "out/count.txt"
    shell: "wc -l < {input[0]} > {output}"
"""
# Whether the test that runs now carries the marker (see tests/conftest.py).
marked = False


def write_outer(folder, root, study, change=lambda text: text):
    """In a folder, ``OUTER`` on the workflow below ``root``, changed, and its study."""
    (folder / "study.yaml").write_text(study)
    (folder / "Snakefile").write_text(change(OUTER).replace("ROOT", str(root)))


def start(folder, *arguments, environment=None, output=subprocess.PIPE):
    """Snakemake in a folder and in a session of its own; what it says is one stream."""
    assert marked, "this test starts Snakemake, so it carries the marker `workflow`"
    return subprocess.Popen(
        [sys.executable, "-m", "snakemake", *map(str, arguments)],
        cwd=folder,
        env=environment,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # A suite that runs in the background ignores SIGINT, and so would all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def call(folder, *arguments, **options):
    """``(exit status, what was said)`` of a whole call of Snakemake."""
    process = start(folder, *arguments, **options)
    text, _ = process.communicate(timeout=900)
    # pytest shows it where the test fails, whatever it asserts.
    print(text)
    return process.returncode, text


def succeed(folder, *arguments, **options):
    """A call of Snakemake that must succeed."""
    status, text = call(folder, *arguments, **options)
    assert status == 0, text[-5000:]
    return text


class Clone:
    """A clone without Snakemake's memory, with a study and results of its own.

    Args:
        folder: to make it in.
        study: keys of the study beside ``STUDY``'s.
        config: keys of config.yaml.
    """

    def __init__(self, folder, *, results=None, data=None, study=None, **config):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("Snakefile", "workflow", "profiles", "envs"):
            (self.folder / name).symlink_to(ROOT / name)
        self.study = study or {}
        (self.folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **self.study}))
        self.results = Path(results or self.folder / "results")
        values = yaml.safe_load((ROOT / "config.yaml").read_text())
        values |= {"study": "study.yaml", "results_dir": str(self.results)}
        values |= {"data_dir": str(data or self.folder / "data"), "device": "cpu", **config}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(values))
        self.root = self.results / "small"

    def run_of(self, ticket, check="none", sparsity="0.8", model="vgg5"):
        """A result's folder, below ``root``."""
        return f"runs/digits/{model}/{ticket}/{check}/sparsity{sparsity}/seed0"

    def start(self, *targets, **options):
        """Snakemake, which is not waited for."""
        return start(self.folder, *self._arguments(*targets, **options))

    def snakemake(self, *targets, **options):
        """``(exit status, what was said)`` of a whole call."""
        return call(self.folder, *self._arguments(*targets, **options))

    def make(self, *targets, **options):
        """A call that must succeed."""
        return succeed(self.folder, *self._arguments(*targets, **options))

    def _arguments(self, *targets, cores=1, options=()):
        paths = (self.root / target for target in targets)
        return "--cores", cores, *options, "--", *paths

    def script(self, name, *arguments):
        """A script by hand: ``(exit status, what was said)``."""
        return scripts.run(name, *arguments, folder=self.folder)

    def metrics(self, run):
        """``metrics.json`` of a folder below ``root``."""
        return json.loads((self.root / run / "metrics.json").read_text())

    def history(self, run):
        """``history.csv`` without its seconds."""
        with open(self.root / run / "history.csv") as file:
            return [
                {k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)
            ]

    def digests(self):
        """Contents of every result by path, to see what a fault has changed."""
        left_out = {"logs", ".lock"}
        files = [p for p in self.root.rglob("*") if p.is_file() and not left_out & set(p.parts)]
        return {str(p.relative_to(self.root)): p.read_bytes() for p in files}


def kill_all(process):
    """SIGKILL Snakemake, its jobs and its warm server: everything it started, wherever it is."""

    def ours(member):
        # Other sessions' environments may not be readable.
        if os.getsid(member.pid) == process.pid:
            return True
        return member.environ().get("JACKPOT_WARM_OWNER") == str(process.pid)

    kill(running(ours))
    process.wait()
    process.stdout.close()
    # A server that ends by itself removes its folder.
    for folder in private_folder().glob(f"warm-{process.pid}-*"):
        shutil.rmtree(folder, True)
