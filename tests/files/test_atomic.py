"""Files are whole or absent."""

import os

import pytest

from jackpot.errors import JackpotError
from jackpot.files.atomic import write_text


def test_a_link_under_the_temporary_name_is_not_written_through(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".a.txt.{os.getpid()}.part").symlink_to(victim)
    (tmp_path / ".a.txt.999999999.part").symlink_to(victim)
    write_text(tmp_path / "a.txt", "new")
    assert victim.read_text() == "precious" and (tmp_path / "a.txt").read_text() == "new"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.txt", "victim"]


def test_a_failed_writing_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "half\ud800")
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    (tmp_path / "file").write_text("")
    with pytest.raises(JackpotError, match=r"file/b.txt: could not be written \("):
        write_text(tmp_path / "file" / "b.txt", "x")
