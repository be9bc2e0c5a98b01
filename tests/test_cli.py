"""Settings as options of a command line, and how a script ends."""

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


@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_script_whose_reader_has_gone_ends_without_a_word(lines):
    """Whether it notices while it prints, or when the rest is written at its end."""
    code = "import sys; from jackpot.cli import main; main(lambda: "
    code += f"[print('a line') for _ in range({lines})] and sys.exit(1))"
    script = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    script.stdout.close()
    with script:
        assert script.stderr.read() == b""
    assert script.returncode == 141
