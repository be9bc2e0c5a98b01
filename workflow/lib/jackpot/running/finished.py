"""A finished training is not lost with a Snakemake that has not taken note of it.

Snakemake deletes the outputs of a job that it does not know to have ended well, and runs it again:
after a kill at the wrong moment, and when one of the cells that share a cluster job fails. A
training therefore leaves a hard link to each of its result files, which costs no space; started
again with the same fingerprint it restores them at once. Snakemake's next start removes the links
of jobs that it knows to have ended, so that what a user deletes or wants made again is made again;
the collected study removes the rest.
"""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from jackpot.environment import Environment
from jackpot.errors import JackpotError
from jackpot.files.atomic import read_sealed, sha256_of_file
from jackpot.files.tensors import load_mask, load_tensors
from jackpot.running.alone import alone
from jackpot.running.arguments import forget_resume_files
from jackpot.running.links import forget_links, links_of


def train_or_restore(
    args: argparse.Namespace, training: Callable[[], str], weights: Iterable[str]
) -> None:
    """Run a script's training, alone, unless it has finished before and can be restored.

    Args:
        args: the script's options.
        training: writes the results and returns a line that says what came out.
        weights: names of the weights files that it writes.
    """
    with alone(args.resume_file):
        if not restore(args.out, args.resume_file, args.fingerprint, weights):
            came_out = training()
            # In this order: killed in between, the training is still not lost.
            keep_finished(args.out, args.resume_file)
            forget_resume_files(args.resume_file)
            # Last: there may be nobody left to read it.
            print(came_out)
    if args.tensorboard:
        from jackpot.running.tensorboard import write_events

        # A copy of the history is no reason to lose the training.
        try:
            write_events(args.out)
        except Exception as error:
            print(f"warning: {args.out}: no TensorBoard events ({error})", file=sys.stderr)


def keep_finished(out: str | Path, resume_file: str | Path | None) -> None:
    """Link every file of ``out``, metrics.json last: with it they are whole."""
    if not resume_file:
        return
    folder = links_of(resume_file)
    # Weights that Snakemake will remove must have no name that keeps them on the disk.
    if not Environment.read().keep_intermediate and Path(out, "trained.safetensors").exists():
        return
    # A full disk, or a file system without hard links, only loses this shortcut.
    with contextlib.suppress(OSError):
        forget_links(resume_file)
        folder.mkdir(parents=True, exist_ok=True)
        files = [file for file in Path(out).iterdir() if file.is_file()]
        for file in sorted(files, key=lambda file: file.name == "metrics.json"):
            os.link(file, folder / file.name)


def restore(
    out: str | Path, resume_file: str | None, fingerprint: str, weights: Iterable[str] = ()
) -> bool:
    """Put a finished training's files back; False if there are none of these settings and code.

    Args:
        weights: names of files that must be there beside history.csv and metrics.json.
    """
    if not resume_file or not fingerprint:
        return False
    folder, weights = links_of(resume_file), list(weights)
    if not _whole(folder, fingerprint, weights):
        return False
    Path(out).mkdir(parents=True, exist_ok=True)
    for name in (*weights, "history.csv", "metrics.json"):
        file = Path(out) / name
        file.unlink(missing_ok=True)
        os.link(folder / name, file)
        # Not older than its inputs, which may have been made again meanwhile.
        os.utime(file)
    return True


def has_mask(path: str | Path, fingerprint: str) -> bool:
    """Whether the mask is there and whole, of these settings and code.

    Snakemake deletes a job's outputs before it starts it, so that such a mask is another
    process's, which the job has waited for.
    """
    try:
        return bool(fingerprint) and load_mask(path)[1].get("fingerprint") == fingerprint
    except JackpotError:
        return False


def _whole(folder: Path, fingerprint: str, weights: list[str]) -> bool:
    """Whether the files are those that were written: damage reaches a file and its link alike."""
    try:
        said = read_sealed(folder / "metrics.json")["fingerprints"]
        history = sha256_of_file(folder / "history.csv")
        headers = [load_tensors(folder / name)[1] for name in weights]
    except (JackpotError, OSError):
        return False
    made = {said["run"], *(metadata.get("fingerprint") for metadata in headers)}
    return made == {fingerprint} and said["history"] == history
