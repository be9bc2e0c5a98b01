"""Hard links to a finished training's results, beside its resume file (see finished.py)."""

import shutil
from pathlib import Path


def links_of(resume_file: str | Path) -> Path:
    """The folder of a training's links."""
    return Path(resume_file).with_suffix(".finished")


def forget_links(resume_file: str | Path) -> None:
    """Remove a training's links: it is to be done again."""
    shutil.rmtree(links_of(resume_file), ignore_errors=True)


def forget_all_links(root: str | Path) -> None:
    """Remove the links of a study whose results are collected."""
    for folder in Path(root, ".resume").rglob("*.finished"):
        shutil.rmtree(folder, ignore_errors=True)
