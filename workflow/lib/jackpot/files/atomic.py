"""Files that are whole or absent: text, JSON, and JSON under a seal."""

import contextlib
import glob
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jackpot.errors import JackpotError

# What reading or sealing JSON raises of text that is none: NaN, infinities, a nest without an end.
NO_JSON = (ValueError, RecursionError)


def write_atomically(path: str | Path, write: Callable[[Path], None]) -> None:
    """Call ``write(temporary_path)``, flush it to disk, and move it to ``path`` in one step."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_parts(path)
        # One that is there under this process's number is not ours, and may be a link.
        temporary.unlink(missing_ok=True)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise JackpotError(
            f"{path}: could not be written ({_reason(error)}). "
            "Free space or fix the permissions, then start again; nothing finished is lost."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def remove_parts(path: Path) -> None:
    """Remove what writers of ``path`` left behind when they were killed."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        # A writer on another machine cannot be seen; Snakemake lets one job at a time write a file.
        if not is_running(part.name.split(".")[-2]):
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def is_running(process: int | str) -> bool:
    """Whether a process of this number lives on this machine."""
    try:
        os.kill(int(process), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path``, whole or not at all."""
    write_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN and infinities, which JSON lacks, are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> Any:
    """Read JSON, or say which file is missing or damaged and how to make it again."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, *NO_JSON) as error:
        raise damaged(path, str(error)) from error


def write_sealed(path: str | Path, value: dict[str, Any]) -> None:
    """Write a JSON object with the SHA-256 of what it says as its last key, ``sha256``."""
    write_json(path, {**value, "sha256": seal_of(value)})


def read_sealed(path: str | Path) -> dict[str, Any]:
    """Read what ``write_sealed`` wrote, or say that it was altered."""
    value = read_json(path)
    seal = value.pop("sha256", None) if isinstance(value, dict) else None
    try:
        found = seal_of(value)
    except NO_JSON as error:
        raise damaged(path, str(error)) from error
    if seal is None or seal != found:
        raise damaged(path, "it was altered: its contents do not match its SHA-256")
    return value


def seal_of(value: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    text = json.dumps(value, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def missing(path: str | Path) -> JackpotError:
    """The one message for every file that is not there."""
    return JackpotError(f"{path}: no such file. Ask Snakemake for it by this path.")


def damaged(path: str | Path, why: str) -> JackpotError:
    """The one message for every file that exists but cannot be used."""
    return JackpotError(
        f"{path}: damaged or not what it should be ({why}). "
        "Delete this file, ask Snakemake for it by this path, and start Snakemake again: then "
        "only this file is made anew."
    )


def sha256_of_file(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise damaged(path, error.strerror or str(error)) from error
