"""What tests share: where the project is, small data, Snakemake, damage, a real Slurm."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "workflow" / "lib" / "jackpot"
SCRIPTS = ROOT / "workflow" / "scripts"


def need(condition: bool, reason: str) -> None:
    """Skip where a real component is missing; in CI it must be there."""
    if not condition:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; CI must have it")
        pytest.skip(reason)
