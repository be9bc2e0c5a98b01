"""What Snakemake hands its jobs beside their command lines, in one place.

These say how a job is run and nothing of its result; as options they would be parameters, and
Snakemake would run every job again when one changes. ``warm.py`` reads its own two, JACKPOT_WARM
and JACKPOT_WARM_OWNER, because it must not wait for an import. JACKPOT_STUDY_LOCK and JACKPOT_AGAIN
are between one Snakemake call and the next (``running/``), JACKPOT_SLOTS between it and a cluster
job's own (``common.smk``).
"""

import os
from dataclasses import dataclass, fields

from jackpot.errors import JackpotError

PREFIX = "JACKPOT_"
RESUME_MINUTES = 5

# The study that this process has laid out: its name and digest.
_laid_out: list[tuple[str, str]] = []


@dataclass(frozen=True)
class Environment:
    """One field a variable: ``resume_minutes`` is JACKPOT_RESUME_MINUTES.

    Attributes:
        device: ``auto``, ``cpu`` or ``cuda``.
        jobs_per_device: jobs that may use one GPU at once.
        study: digest of the study, which results record.
        own_code: fingerprints of the user's own files, JSON by absolute path.
        resume_minutes, resume_epochs: how often a training is saved; 0 epochs: not by epochs.
        keep_intermediate: 0 where Snakemake removes weights that nothing needs any more.
        tensorboard: 1 writes event files.
    """

    device: str = "auto"
    jobs_per_device: int = 1
    study: str = ""
    own_code: str = ""
    resume_minutes: float = float(RESUME_MINUTES)
    resume_epochs: int = 0
    keep_intermediate: int = 1
    tensorboard: int = 0

    @classmethod
    def read(cls) -> "Environment":
        """As the variables are now; one that is missing or empty has its default."""
        given = {field.name: os.environ.get(PREFIX + field.name.upper()) for field in fields(cls)}
        types = {field.name: type(field.default) for field in fields(cls)}
        return cls(**{name: types[name](value) for name, value in given.items() if value})

    def hand_on(self) -> None:
        """Set the variables for the jobs of this process."""
        for field in fields(self):
            os.environ[PREFIX + field.name.upper()] = str(getattr(self, field.name))


def refuse_second_study(name: str, digest: str) -> None:
    """Refuse another study than this process has laid out: what is handed on is of one.

    Raises:
        JackpotError: one Snakefile has two studies as modules.
    """
    if _laid_out and _laid_out != [(name, digest)]:
        raise JackpotError(
            f"{name}: this Snakefile has the study {_laid_out[0][0]} as a module already, and a "
            "call of Snakemake can have one study only. Give each a call of its own."
        )
    _laid_out[:] = [(name, digest)]


def portable_device(device: str) -> str:
    """The device in portable arithmetic, which is a promise about processors: never a GPU.

    Raises:
        JackpotError: ``device`` is ``cuda``.
    """
    if device == "cuda":
        raise JackpotError(
            "arithmetic: portable gives the same bits on processors, and device: cuda is none. Set "
            "device: auto or cpu in config.yaml, or arithmetic: native in the study."
        )
    return "cpu"
