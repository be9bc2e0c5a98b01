"""What the options of a training's script name: which run it is, and its resume file."""

import argparse
from dataclasses import fields, replace
from pathlib import Path

from jackpot.training.results import RunName
from jackpot.training.resume import ResumeFile


def run_of(args: argparse.Namespace, sparsity: float = 0.0) -> RunName:
    """The run that a script's options name; ``sparsity`` is that of one that names none."""
    run = RunName(**{field.name: getattr(args, field.name) for field in fields(RunName)})
    return run if run.sparsity is not None else replace(run, sparsity=sparsity)


def resume_file_of(args: argparse.Namespace) -> ResumeFile | None:
    """The resume file that a script's options ask for."""
    if not args.resume_file:
        return None
    # The fingerprint is known once the inputs are read.
    return ResumeFile(Path(args.resume_file), "", args.resume_minutes, args.resume_epochs)
