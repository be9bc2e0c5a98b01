"""The one way in which tests run the project's scripts."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT, SCRIPTS


def run(name, *arguments, environment=None, folder=ROOT):
    """``(exit status, what was said)`` of a script; a traceback is a failure of its own.

    Args:
        name: a script's name, or its path.
        environment: the fixture ``warm``, to run it in a fork of a process that has imported torch,
            which costs milliseconds in place of seconds; default: a process of its own.
        folder: to run it in.
    """
    path = Path(name) if str(name).endswith(".py") else SCRIPTS / f"{name}.py"
    if environment is None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("JACKPOT_WARM")}
    command = [sys.executable, "-S", "-E", SCRIPTS / "warm.py", path, *arguments]
    done = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True
    )
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    return done.returncode, text


def succeed(name, *arguments, **options):
    """A script that must succeed."""
    status, text = run(name, *arguments, **options)
    assert status == 0, text
    return text


def retrain(warm, folder, out="out", *more):
    """Train the small ticket of ``make_ticket`` in ``folder``; the last of ``more`` has its way."""
    files = {name: folder / f"{name}.safetensors" for name in ("clean", "init", "mask")}
    inputs = ["--clean", files["clean"], "--weights", files["init"], "--mask", files["mask"]]
    settings = ["--ticket", "snip", "--epochs", "3", "--batch-size", "32", "--crop-padding", "1"]
    arguments = [*inputs, "--out", folder / out, *settings, *more]
    return run("retrain", *arguments, environment=warm)
