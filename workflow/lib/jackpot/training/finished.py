"""Finished cells survive a failed group of cells.

Many cells can share one cluster job. When that job ends early, Snakemake deletes the outputs of
all its cells, finished ones as well, and runs all of them again. A finished training therefore
leaves a second name (a hard link) for each of its files, which costs no space; one that is
started again with the same fingerprint takes them back at once. The collected study removes them.
"""

import argparse
import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from jackpot.errors import JackpotError
from jackpot.storage import load_tensors, read_sealed, sha256_of_file


def once(
    args: argparse.Namespace, training: Callable[[], None], *, temporary: bool = False
) -> None:
    """Run a script's training, unless it has finished before and its files can be taken back.

    Args:
        temporary: its files go as soon as nothing needs them; a second name would keep them.
    """
    if take_back(args.out, args.resume_file, args.fingerprint):
        return
    training()
    if args.tensorboard:
        from jackpot.training.tensorboard import write_events

        write_events(args.out)
    if not temporary:
        keep_finished(args.out, args.resume_file)


def folder_of(resume_file: str | None) -> Path | None:
    """Where a cell's second names are: beside its resume file."""
    return Path(resume_file).with_suffix(".finished") if resume_file else None


def keep_finished(out: str | Path, resume_file: str | None) -> None:
    """Give every file of ``out`` a second name."""
    folder = folder_of(resume_file)
    if folder is None:
        return
    # A full disk, or a file system without hard links, only loses this shortcut.
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        for file in Path(out).iterdir():
            if file.is_file():
                (folder / file.name).unlink(missing_ok=True)
                os.link(file, folder / file.name)


def take_back(out: str | Path, resume_file: str | None, fingerprint: str) -> bool:
    """Put a finished cell's files back; False if there are none of these settings and code."""
    folder = folder_of(resume_file)
    if folder is None or not fingerprint:
        return False
    if not _whole(folder, fingerprint):
        return False
    Path(out).mkdir(parents=True, exist_ok=True)
    # metrics.json last: with it the cell is done.
    for file in sorted(folder.iterdir(), key=lambda file: file.name == "metrics.json"):
        with contextlib.suppress(FileExistsError):
            os.link(file, Path(out) / file.name)
    return True


def _whole(folder: Path, fingerprint: str) -> bool:
    """Whether a cell's files are those that were written: damage reaches both of their names."""
    try:
        said = read_sealed(folder / "metrics.json")["fingerprints"]
        history = sha256_of_file(folder / "history.csv")
        weights = [load_tensors(file)[1] for file in folder.glob("*.safetensors")]
    except (JackpotError, OSError):
        return False
    made = {said["run"], *(metadata["fingerprint"] for metadata in weights)}
    return made == {fingerprint} and said["history"] == history


def forget_finished(root: str | Path) -> None:
    """Remove the second names of a study whose results are collected."""
    for folder in Path(root, ".resume").rglob("*.finished"):
        shutil.rmtree(folder, ignore_errors=True)
