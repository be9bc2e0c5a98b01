"""Resume files: what a killed training needs to go on and end with the same bits."""

import contextlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jackpot.errors import JackpotError
from jackpot.files.atomic import remove_parts
from jackpot.files.tensors import Tensors, load_tensors, save_tensors


@dataclass
class ResumeFile:
    """One training's resume file.

    Attributes:
        path: beside the results, never a declared output: Snakemake deletes those of a failed job.
        fingerprint: of the job's settings, inputs and code; another job's file is not used.
        minutes, epochs: save whenever either interval has passed; None switches one off.
    """

    path: Path
    fingerprint: str
    minutes: float | None = 5
    epochs: int | None = None
    _saved_at: float = field(default_factory=time.monotonic)
    _saved_epoch: int | None = None

    def due(self, epoch: int, epoch_ended: bool) -> bool:
        """Whether it is time to save."""
        if self._saved_epoch is None:
            self._saved_epoch = epoch
        if self.minutes is not None and time.monotonic() - self._saved_at >= 60 * self.minutes:
            return True
        return bool(epoch_ended and self.epochs and epoch - self._saved_epoch >= self.epochs)

    def save(self, tensors: Tensors, state: dict[str, Any], epoch: int) -> None:
        """Write the whole state atomically."""
        try:
            # JSON has no NaN; a diverged run stops before it is saved, so none can occur here.
            save_tensors(self.path, tensors, {"fingerprint": self.fingerprint, "state": state})
        except JackpotError as error:
            # The training is worth more than its safety net; the last state is still whole.
            print(f"warning: the training is not saved: {error}", file=sys.stderr, flush=True)
        self._saved_at, self._saved_epoch = time.monotonic(), epoch

    def load(self) -> tuple[Tensors, dict[str, Any]] | None:
        """The saved state, or None if there is none that this job may use.

        A file that is damaged or belongs to other settings is set aside, with a message, and
        never used.
        """
        if not self.path.exists():
            return None
        try:
            tensors, metadata = load_tensors(self.path)
        except JackpotError as error:
            self._set_aside("damaged", str(error).split(". ")[0])
            return None
        if metadata.get("fingerprint") != self.fingerprint:
            self._set_aside("other", f"{self.path}: belongs to other settings, data or code")
            return None
        return tensors, metadata["state"]

    def _set_aside(self, ending: str, why: str) -> None:
        aside = self.path.with_suffix(f".{ending}")
        with contextlib.suppress(OSError):
            os.replace(self.path, aside)
        print(
            f"{why}. It is kept as {aside.name} and not used; training starts from its beginning. "
            "Delete it if you do not need it.",
            file=sys.stderr,
            flush=True,
        )

    def remove(self) -> None:
        """Forget the state: the results are written, or another training is to begin."""
        self._saved_epoch = None
        for path in (self.path, self.path.with_suffix(".other"), self.path.with_suffix(".damaged")):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        # Its folder stays: another job may be about to write there.
        remove_parts(self.path)
