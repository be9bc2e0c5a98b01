"""Tables as CSV files, written whole and read with a message where they are not."""

import io
from pathlib import Path

import pandas as pd

from jackpot.files.atomic import damaged, missing, write_text


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, without its index."""
    write_text(path, table.to_csv(index=False, lineterminator="\n"))


def read_table(path: str | Path) -> pd.DataFrame:
    """A CSV file of ours, or one of the user's own.

    Raises:
        JackpotError: it is missing, empty, cut short inside its last line, or no CSV.
    """
    try:
        return pd.read_csv(io.BytesIO(read_lines(path)))
    except ValueError as error:
        raise damaged(path, str(error)) from error


def read_lines(path: str | Path) -> bytes:
    """What is in a file of lines.

    Raises:
        JackpotError: it is missing, or cut short inside its last line.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise damaged(path, str(error)) from error
    if content and not content.endswith(b"\n"):
        raise damaged(path, "its last line is cut short")
    return content
