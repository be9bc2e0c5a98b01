"""What one job is: inputs, options, code, outputs, and the fingerprint that follows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jackpot.fingerprints import fingerprint, recorded

# Options of a description that decide no result, by rule, and why. With ``where_only`` of a single
# job these are all: every other option is part of its fingerprint.
NOT_FINGERPRINTED: dict[str, dict[str, str]] = {
    "download": {"mirrors": "where to look; what arrives must have the digest"},
    "pretrain": {"study": "where results are recorded"},
    "prune": {"sparsities": "which cuts to keep; each is the same whatever the others are"},
    "retrain": {"study": "where results are recorded", "keep_weights": "what else to save"},
}


@dataclass(frozen=True)
class File:
    """One file and the job that makes it."""

    path: str
    job: "Job"

    @property
    def fingerprint(self) -> str:
        """What today's job would store in the file."""
        return self.job.fingerprint

    @property
    def made_by(self) -> str | None:
        """The fingerprint of the job that made the file; None if there is none."""
        if not self.path.endswith(".csv"):
            return recorded(self.path)
        # A history has no place for a fingerprint; that of the metrics beside it is its own.
        metrics = os.path.join(os.path.dirname(self.path), "metrics.json")
        return recorded(metrics) if os.path.exists(self.path) else None

    def is_current(self) -> bool:
        """Whether the file is there, made by today's settings and code."""
        return self.made_by == self.fingerprint


@dataclass(frozen=True, eq=False)
class Job:
    """One job of a study.

    Attributes:
        rule: the rule and the script of that name.
        outputs: every file that it declares, by path.
        inputs: the files that it reads, by the name of the script's option.
        options: the script's other options that a study decides.
        code: fingerprints of the code that decides its result.
        where_only: options that only say where an input is, which a digest identifies.
        copies: the input whose result this is, for a job that only copies.
    """

    rule: str
    outputs: tuple[str, ...]
    inputs: Mapping[str, File] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    where_only: tuple[str, ...] = ()
    copies: str | None = None

    @cached_property
    def fingerprint(self) -> str:
        """Hashes of the code, the options and the inputs' fingerprints."""
        if self.copies:
            return self.inputs[self.copies].fingerprint
        inputs = {name: file.fingerprint for name, file in self.inputs.items()}
        return fingerprint(self.code, self.settings, inputs)

    @property
    def settings(self) -> dict[str, Any]:
        """The options that decide the result."""
        left_out = {*NOT_FINGERPRINTED.get(self.rule, ()), *self.where_only}
        return {
            name: value
            for name, value in self.options.items()
            if name not in left_out and value is not None
        }

    def is_current(self) -> bool:
        """Whether all that it makes is there, made by today's settings and code."""
        return all(File(path, self).is_current() for path in self.outputs)

    def is_stale(self) -> bool:
        """Whether other settings or code than today's made something that it makes."""
        made_by = {File(path, self).made_by for path in self.outputs}
        return not made_by <= {None, self.fingerprint}

    def output(self, name: str) -> File:
        """The output whose path ends in ``/name``."""
        (path,) = (path for path in self.outputs if path.endswith(f"/{name}"))
        return File(path, self)
