"""What is printed of jobs: why they run, why they failed."""

import logging
import random

import pytest
from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from jackpot.cli import command_options
from jackpot.files.atomic import write_json
from jackpot.running.messages import (
    say_what_changed,
    short_reason,
    shorten_messages,
    summary,
    useful_line,
)

MADE = "0123456789ab-cccccccccccc-dddddddddddd"
NOW = "0123456789ab-ffffffffffff-dddddddddddd"


def reason_of(before, now):
    """As Snakemake 9.27 words it: parameters are printed by repr, in any order."""

    def printed(items):
        items = list(map(repr, items))
        random.Random(len(items)).shuffle(items)
        return ",".join(items) or "<nothing exclusive>"

    return (
        "Params have changed since last execution: Union of exclusive params before and now across "
        f"all output: before: {printed(before)} now: {printed(now)} "
    )


def test_a_changed_setting_is_named():
    before = {"learning_rate": 0.1, "flip": True, "milestones": [0.5, 0.75], "name": "a 'b'"}
    now = {**before, "learning_rate": 0.05, "flip": False, "milestones": [0.5]}
    reason = reason_of([command_options(before), MADE], [NOW, command_options(now)])
    assert short_reason(reason) == (
        "changed since it was made: learning_rate 0.1 -> 0.05, flip true -> false, "
        "milestones 0.5 0.75 -> 0.5"
    )
    more = short_reason(reason_of([command_options(before), MADE], [command_options({}), NOW]))
    assert "learning_rate 0.1 -> (none)" in more and "name a 'b' -> (none)" in more


def test_changed_code_and_inputs_are_named():
    code = reason_of([MADE], [MADE.replace("0123456789ab", "ba9876543210")])
    assert short_reason(code) == "changed since it was made: code"
    both = reason_of([MADE], ["000000000000-cccccccccccc-000000000000"])
    assert short_reason("Missing output files: a; " + both) == (
        "Missing output files: a; changed since it was made: code, inputs"
    )
    assert short_reason("Missing output files: a") == "Missing output files: a"


def test_what_is_made_again_unnoticed_says_what_has_changed(caplog, tmp_path):
    """Snakemake notes nothing of results that were copied here; they say it themselves."""
    shorten_messages()
    result, table = str(tmp_path / "metrics.json"), str(tmp_path / "about.json")
    write_json(result, {"fingerprints": {"run": MADE}})
    write_json(table, {"fingerprints": {"run": "0123456789"}})
    say_what_changed([result], NOW)
    say_what_changed([table], "9876543210")
    job = {"event": LogEvent.JOB_INFO, "reason": "Forced execution", "rule_msg": "retrain snip"}
    with caplog.at_level(logging.INFO, logger=logger.name):
        logger.propagate, before = True, logger.propagate
        try:
            for output in (result, table, "other.json"):
                logger.info("x", extra={**job, "output": [output]})
        finally:
            logger.propagate = before
    stale, *others = caplog.records
    assert stale.reason == "changed since it was made: settings"
    assert stale.rule_msg == "retrain snip (changed: settings)"
    assert {(r.reason, r.rule_msg) for r in others} == {("Forced execution", "retrain snip")}


def test_no_command_is_printed(caplog):
    shorten_messages()
    shorten_messages()
    error = (
        "CalledProcessError in line 1:\nCommand 'set -e; run\nit' returned non-zero exit status 1."
    )
    with caplog.at_level(logging.INFO, logger=logger.name):
        logger.propagate, before = True, logger.propagate
        try:
            logger.error(error)
            logger.error("x", extra={"event": LogEvent.JOB_ERROR, "shellcmd": "long", "input": [1]})
        finally:
            logger.propagate = before
    said, of_job = caplog.records
    assert said.getMessage().endswith("The command returned non-zero exit status 1.")
    assert of_job.shellcmd is None and of_job.input == []


def test_the_summary_has_a_line_and_a_log_for_each(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("warning: x\nerror: the disk is full\n\n")
    text = summary([("retrain snip", str(log), "OUT_OF_MEMORY"), ("collect", "", "")])
    assert text.splitlines()[:6] == [
        "What failed:",
        "- retrain snip",
        "    OUT_OF_MEMORY",
        "    error: the disk is full",
        f"    log: {log}",
        "- collect",
    ]
    assert "start the same command again" in text and summary([]) == ""
    # Of what failed before a call was stopped there is more to say.
    assert summary([("collect", "", "")], stopped=True) == summary([("collect", "", "")])
    assert "Nothing is lost: the same command goes on" in summary([], stopped=True)


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("warning: x\nerror: the disk is full\n\n", "error: the disk is full"),
        ("error: cifar10: no server answers\nGive a copy:\n  path: x.tar.gz\n", 0),
        ("Traceback (most recent call last):\n  File x\nKeyError: 'a'\n", 2),
        (
            "torch.AcceleratorError: CUDA error: misaligned\nCompile with `TORCH_USE_X`",
            0,
        ),
        ("error: your own code failed: ValueError: bad\nmine.py:3, in score\n", 0),
        ("ValueError: an earlier one\nerror: prune was killed (signal 9)\n", 1),
        ("Killed\n", 0),
        ("", ""),
    ],
)
def test_the_line_that_says_what_is_wrong_is_found(tmp_path, log, line):
    (tmp_path / "a.log").write_text(log)
    expected = log.splitlines()[line] if isinstance(line, int) else line
    assert useful_line(tmp_path / "a.log") == expected
    assert useful_line(tmp_path / "none") == ""


def test_five_hundred_failures_make_a_short_list(tmp_path):
    failed = []
    for number in range(500):
        log = tmp_path / f"{number}.log"
        log.write_text(f"error: the disk is full\nFree some space, says job {number}.\n")
        why = f"SLURM-job '{1000 + number}' failed, SLURM status is: 'FAILED'"
        failed.append((f"retrain {number}", str(log), why))
    for number in range(20):
        failed.append((f"prune {number}", "", f"cause {number}"))
    lines = summary(failed).splitlines()
    assert len(lines) < 35
    assert lines[1:4] == [
        "- retrain 0",
        "    SLURM-job '1000' failed, SLURM status is: 'FAILED'",
        "    error: the disk is full",
    ]
    assert lines[9] == "- and 497 more, which say the same"
    assert "- and 13 more, which say something else; their logs are beside these" in lines
    assert not any("more" in line for line in summary(failed[:3]).splitlines())
