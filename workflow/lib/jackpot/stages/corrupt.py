"""The stage that spoils a dataset as a data check says."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jackpot.checks import find_check
from jackpot.data.files import load_data, save_data
from jackpot.randomness import generator


def corrupt(
    out: str | Path,
    *,
    clean: str | Path,
    check: str,
    seed: int,
    own_checks: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    fingerprint: str = "",
) -> None:
    """Write the training split that a pruner sees under a data check.

    Only the training split is spoiled and stored; testing and normalisation stay the clean ones,
    which is how a spoiled ticket and its original are compared.

    Args:
        own_checks: a user's checks: name -> ``file.py:function``.
        options: those of the check.
    """
    data = load_data(clean)
    images, labels = find_check(check, own_checks).data(
        (data.train_images, data.train_labels),
        generator(seed, "check", check, "data"),
        classes=len(data.classes),
        **(options or {}),
    )
    spoiled = replace(
        data, train_images=images, train_labels=labels, test_images=None, test_labels=None
    )
    save_data(out, spoiled, {"check": check, "seed": seed, "fingerprint": fingerprint})
    print(f"{check}: {len(labels):,} of {len(data.train_labels):,} training images")
