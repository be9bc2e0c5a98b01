"""What the options of a training's script name: which run it is, and its resume files."""

import argparse
import contextlib
import glob
import re
from dataclasses import fields, replace
from pathlib import Path

import torch

from jackpot.machine import is_restricted, processor_name
from jackpot.training.results import RunName
from jackpot.training.resume import ResumeFile


def run_of(args: argparse.Namespace, sparsity: float = 0.0) -> RunName:
    """The run that a script's options name; ``sparsity`` is that of one that names none."""
    run = RunName(**{field.name: getattr(args, field.name) for field in fields(RunName)})
    return run if run.sparsity is not None else replace(run, sparsity=sparsity)


def resume_file_of(args: argparse.Namespace, device: torch.device) -> ResumeFile | None:
    """The resume file that a script's options ask for, on this kind of device."""
    if not args.resume_file:
        return None
    path = resume_path(args.resume_file, device)
    # The fingerprint is known once the inputs are read.
    return ResumeFile(path, "", args.resume_minutes, args.resume_epochs)


def resume_path(resume_file: str | Path, device: torch.device) -> Path:
    """Where a training on this kind of device saves itself.

    Kinds round otherwise, so half a training of each would be one that no machine can repeat. In
    portable arithmetic they do not, and one goes on where another stopped.
    """
    path = Path(resume_file)
    if is_restricted():
        return path
    on_gpu = device.type == "cuda"
    kind = torch.cuda.get_device_name(device) if on_gpu else processor_name()
    return path.with_name(f"{path.stem}@{re.sub('[^A-Za-z0-9]+', '-', kind)}{path.suffix}")


def forget_resume_files(resume_file: str | Path | None) -> None:
    """Remove what this training has saved on any kind of device: it is done."""
    if resume_file:
        path = Path(resume_file)
        for file in path.parent.glob(f"{glob.escape(path.stem)}@*"):
            with contextlib.suppress(OSError):
                file.unlink()
        ResumeFile(path, "").remove()
