"""What is printed of jobs: why they run, why they failed."""

import logging
import random

from snakemake.logging import logger
from snakemake_interface_logger_plugins.common import LogEvent

from jackpot.cli import command_options
from jackpot.running.messages import last_line, short_reason, shorten_messages, summary

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
    assert last_line(log) == "error: the disk is full" and last_line(tmp_path / "none") == ""
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
