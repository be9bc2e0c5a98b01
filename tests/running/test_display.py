"""A call's progress: a redrawn line on a terminal, few lines in a log, all in the log file."""

import os
import pty
import re
import subprocess
import sys
import termios
import threading

import pytest

from tests.support.snake import Clone

CELL = {"tickets": ["random"], "sparsities": [0.8], "seeds": [0, 1, 2]}


def on_a_terminal(clone, *arguments, term="xterm"):
    """``(exit status, lines as they stand, what else was drawn)``."""
    here, there = pty.openpty()
    termios.tcsetwinsize(here, (40, 100))
    said = bytearray()

    def read():
        try:
            while piece := os.read(here, 65536):
                said.extend(piece)
        except OSError:  # the other end is closed
            pass

    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
        cwd=clone.folder,
        env={**os.environ, "TERM": term},
        stdout=there,
        stderr=there,
        start_new_session=True,
    )
    os.close(there)
    reader = threading.Thread(target=read)
    reader.start()
    status = process.wait(600)
    reader.join()
    os.close(here)
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.decode())
    drawn = [line.rstrip("\r").split("\r") for line in text.split("\n")]
    return status, [screen(parts) for parts in drawn], [p for parts in drawn for p in parts[:-1]]


def screen(parts):
    """What stands in a line that was written over."""
    line = ""
    for part in parts:
        line = part + line[len(part) :]
    return line.rstrip()


def after(lines, word):
    """What follows the last table of jobs."""
    last = max(number for number, line in enumerate(lines) if line.startswith(word))
    return [line for line in lines[last + 1 :] if line]


@pytest.mark.workflow
def test_a_terminal_has_one_line_that_is_redrawn(tmp_path):
    experiment = {**CELL, "checks": ["rearranged"]}
    clone = Clone(tmp_path, study={"experiments": [experiment], "statistics": {"looks": [2, 3]}})
    status, lines, redrawn = on_a_terminal(clone)
    assert status == 0, lines
    rest = after(lines, "total ")
    assert len(redrawn) > 2 * len(rest)
    assert any("0 of 1 cells decided; retrain random" in part for part in redrawn)
    # Nothing of the redrawn line is left.
    assert not [line for line in lines if " left" in line and " jobs," in line]
    assert len(rest) <= 5, rest
    assert f"small: look 2 of 2 is in {clone.root}/report.html" in rest[1]
    assert re.fullmatch(r"(\d+) of \1 steps \(100%\) done", rest[2])
    whole = max(clone.folder.glob(".snakemake/log/*.log")).read_text()
    jobs = int(rest[2].split()[0])
    assert whole.count("Finished jobid") == jobs, "the log file has all of it"


@pytest.mark.workflow
def test_an_error_stands_by_itself_on_a_terminal(tmp_path):
    score = "def score(model, data, generator):\n    raise ValueError('broken on purpose')\n"
    (tmp_path / "mine.py").write_text(score)
    study = {
        "pruners": {"mine": {"score": "mine.py:score"}},
        "tickets": {"mine": {"pruner": "mine"}},
        "experiments": [{"tickets": ["mine", "random"], "sparsities": [0.8], "seeds": [0]}],
    }
    clone = Clone(tmp_path, study=study)
    status, lines, _ = on_a_terminal(clone)
    assert status == 1, lines
    assert "Error in rule prune:" in lines
    assert "What failed:" in lines
    said = lines[lines.index("What failed:") + 1 :]
    assert said[0] == "- prune vgg5 on digits (clean): mine, seed 0"
    assert "broken on purpose" in said[1]
    assert not [line for line in lines if " jobs," in line]
    assert (clone.root / clone.run_of("random") / "metrics.json").exists()


@pytest.mark.workflow
@pytest.mark.parametrize("how", ["a pipe", "a terminal that cannot redraw", "commands asked for"])
def test_elsewhere_a_job_has_a_line_for_its_start_and_one_for_what_came_of_it(tmp_path, how):
    clone = Clone(tmp_path, study={"experiments": [CELL]})
    if how == "a pipe":
        lines = clone.make("runs.csv").splitlines()
    else:
        options = ["-p"] if how == "commands asked for" else []
        term = "dumb" if how == "a terminal that cannot redraw" else "xterm"
        status, lines, redrawn = on_a_terminal(
            clone, *options, "--", str(clone.root / "runs.csv"), term=term
        )
        assert status == 0 and not redrawn
    rest = after(lines, "total ")
    time = r"\[\w{3} \w{3} +\d+ [\d:]{8} \d{4}\]"
    jobs = [
        line for line in rest if re.match(rf"{time} Job \d+: (init|prune|retrain|collect)", line)
    ]
    assert len(jobs) == 3 + 3 + 3 + 1
    outcome = rf"{time} Job \d+ done: random none at sparsity 0.8, seed \d: [\d.]+ % after 2 epochs"
    assert len([line for line in rest if re.match(outcome, line)]) == 3
    commands = [line for line in rest if line.startswith("Shell command: run ")]
    assert bool(commands) == (how == "commands asked for")
    noise = ("Select jobs", "Execute ", "Finished jobid")
    assert not [line for line in rest if line.startswith(noise)]
