"""The real workflow in a scratch clone of the repository, for tests."""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from tests.support import ROOT

STUDY = {
    "name": "small",
    "datasets": {"digits": {"kind": "digits"}},
    "models": {"vgg5": {"width": 4}},
    "training": {"epochs": 2, "crop_padding": 1, "flip": False},
    "rewind_epoch": 1,
}


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
        for name in ("Snakefile", "workflow", "envs"):
            (self.folder / name).symlink_to(ROOT / name)
        (self.folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **(study or {})}))
        self.results = Path(results or self.folder / "results")
        values = yaml.safe_load((ROOT / "config.yaml").read_text())
        values |= {"study": "study.yaml", "results_dir": str(self.results)}
        values |= {"data_dir": str(data or self.folder / "data"), **config}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(values))
        self.root = self.results / "small"

    def run_of(self, ticket, check="none", sparsity="0.8", model="vgg5"):
        """A result's folder, below ``root``."""
        return f"runs/digits/{model}/{ticket}/{check}/sparsity{sparsity}/seed0"

    def start(self, *targets, cores=1, options=()):
        """Snakemake in a session of its own."""
        command = [sys.executable, "-m", "snakemake", "--cores", str(cores), *options, "--"]
        return subprocess.Popen(
            [*command, *(str(self.root / target) for target in targets)],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # A suite that runs in the background ignores SIGINT, and so would all that it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def snakemake(self, *targets, **options):
        """``(exit status, what was said)`` of a whole call."""
        process = self.start(*targets, **options)
        text, _ = process.communicate(timeout=300)
        return process.returncode, text

    def make(self, *targets, **options):
        """A call that must succeed."""
        status, text = self.snakemake(*targets, **options)
        assert status == 0, text
        return text

    def script(self, name, *arguments):
        """A script by hand: ``(exit status, what was said)``."""
        done = subprocess.run(
            [sys.executable, f"workflow/scripts/{name}.py", *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr

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
        files = [p for p in self.root.rglob("*") if p.is_file() and "logs" not in p.parts]
        return {str(p.relative_to(self.root)): p.read_bytes() for p in files}


def kill_all(process):
    """SIGKILL Snakemake, its jobs and its warm server: everything it started, wherever it is."""
    members = [process.pid]
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                session = os.getsid(int(folder.name))
            except OSError:
                continue
            owned = f"JACKPOT_WARM_OWNER={process.pid}".encode() in environment
            if owned or session == process.pid:
                members.append(int(folder.name))
    for member in members:
        kill(member)
    process.wait()
    process.stdout.close()
    # A server that ends by itself removes its folder.
    shutil.rmtree(f"{tempfile.gettempdir()}/jackpot-{os.getuid()}-{process.pid}", True)


def kill(process):
    """SIGKILL, if it is still there."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def wait_for(condition, seconds=60):
    """Poll until ``condition()`` is true, and return what it gave."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.001)
    raise AssertionError("it did not happen in time")
