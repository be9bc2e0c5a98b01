"""Settings as options of a command line, and how a script ends."""

import os
import subprocess
import sys

import pytest

from jackpot.cli import add_mapping, add_settings, parser_of, settings_from
from jackpot.errors import JackpotError
from jackpot.settings import Pruner, Training


def given(settings, *arguments):
    parser = parser_of("")
    add_settings(parser, settings)
    return settings_from(parser.parse_args(arguments), settings)


def test_an_option_that_is_out_of_range_is_named():
    with pytest.raises(JackpotError, match=r"^--batch-size: .*or equal to 1 \(got 0\)"):
        given(Training, "--epochs", "4", "--batch-size", "0")


def test_options_that_do_not_go_together_are_told_without_a_name():
    with pytest.raises(JackpotError, match=r"^iterations train between cuts"):
        given(Pruner, "--score", "magnitude", "--iterations", "5", "--rounds", "2")


@pytest.mark.parametrize("word", ["x={", "x=[1", "x=2020-13-45", "x=a: b: c"])
def test_a_value_that_cannot_be_read_is_told(capsys, word):
    parser = parser_of("")
    add_mapping(parser, "--options", "")
    with pytest.raises(SystemExit):
        parser.parse_args(["--options", word])
    assert f"argument --options: {word!r}: the value is neither" in capsys.readouterr().err
    # As the message advises.
    key, _, value = word.partition("=")
    assert parser.parse_args(["--options", f'{key}="{value}"']).options == [(key, value)]


@pytest.mark.parametrize(
    ("read", "does", "status", "says"),
    [
        # Nobody reads: noticed when the rest is written at its end, or while it prints.
        (False, "print('a line') or sys.exit(1)", 1, ""),
        (False, "[print('a line') for _ in range(100_000)]", 141, ""),
        # What else is wrong is said all the same.
        (False, "print('a line') or damaged()", 1, "error: x: damaged"),
        (True, "os.write(pipe_without_reader(), b'x')", 1, "BrokenPipeError"),
    ],
)
def test_a_script_whose_reader_has_gone_says_nothing_of_that(read, does, status, says):
    code = f"""
import os, sys
from jackpot.cli import main
from jackpot.errors import JackpotError

def damaged():
    raise JackpotError("x: damaged")

def pipe_without_reader():
    reader, writer = os.pipe()
    os.close(reader)
    return writer

main(lambda: {does})
"""
    reader, writer = os.pipe()
    if not read:
        os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", code],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        # Without a buffer every print notices at once.
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    )
    os.close(writer)
    assert ended.returncode == status
    assert says in ended.stderr if says else ended.stderr == ""
