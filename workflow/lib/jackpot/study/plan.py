"""A study as a whole: its jobs, its looks, and what it declares beforehand."""

import json
import os
from collections import defaultdict
from collections.abc import Container, Iterable
from dataclasses import fields
from functools import cached_property
from typing import Any

from jackpot.architectures import MODELS
from jackpot.checks import CHECKS
from jackpot.cli import command_options
from jackpot.data.folders import local_source, refuse_changed
from jackpot.data.kinds import KINDS
from jackpot.errors import JackpotError
from jackpot.files.atomic import read_sealed
from jackpot.fingerprints import code_of, code_of_file, digest
from jackpot.pruning.allocation import ALLOCATIONS
from jackpot.pruning.scores import SCORES
from jackpot.registry import is_own
from jackpot.study.jobs import File, Job
from jackpot.study.looks import Cell, Progress, progress
from jackpot.study.model import Run
from jackpot.study.rules import Rules

# The stages that show what was collected.
SHOWING = ("verdicts", "draw", "tables", "report")


class Plan(Rules):
    """The jobs of one study on one machine, and how far it has come."""

    def refuse_changed_sources(self) -> None:
        """Ask whether what datasets were read from, and that has changed, is meant.

        Raises:
            JackpotError: naming the dataset and the key that answers.
        """
        for dataset in sorted({run.dataset for run in self.study.runs()}):
            if not self.study.datasets[dataset].has_digest:
                refuse_changed(self.source(dataset))

    def require_sources(self, wanted: Container[str]) -> None:
        """Refuse a ``path`` where nothing lies, of those datasets that are to be read.

        Args:
            wanted: the files that a call is about to make.

        Raises:
            JackpotError: naming the dataset and the path.
        """
        for name, dataset in self.study.datasets.items():
            read_by = (self.source(name), self.data(name, "clean"))
            if dataset.path and any(file in wanted for file in read_by):
                local_source(name, dataset.path)

    def missing_sources(self) -> list[str]:
        """What ``require_sources`` would say of the datasets that results are still to be made of.

        One whose results are all there need not be read again, wherever its archive has gone.
        """
        found = []
        for name, dataset in self.study.datasets.items():
            try:
                if dataset.path:
                    local_source(name, dataset.path)
            except JackpotError as error:
                runs = [run for run in self.progress.runs if run.dataset == name]
                if not self.prepare(name).is_current() and not all(
                    self.job_of(run).is_current() for run in runs
                ):
                    found.append(str(error))
        return found

    @cached_property
    def progress(self) -> Progress:
        """How far the study has come, as the files of its looks tell."""
        return progress(self.study, self._read_look)

    def look(self, number: int, runs: list[Run]) -> str:
        """The file of a look's decisions; it is named by all that they rest on."""
        statistics = self.study.statistics.model_dump(mode="json")
        cells = sorted({run.cell for run in self.study.runs()})
        results = [self.job_of(run).fingerprint for run in sorted(runs)]
        code = code_of("jackpot.stages.look")
        made_of = digest([number, statistics, self.study.seed_order, cells, results, code])
        return f"{self.root}/looks/look{number}-{made_of[:12]}.json"

    def _read_look(self, number: int, runs: list[Run]) -> set[Cell] | None:
        path = self.look(number, runs)
        if not os.path.exists(path):
            return None
        return {tuple(cell) for cell in read_sealed(path)["going_on"]}

    def results(self) -> list[File]:
        """The metrics of every run that the study has come to."""
        return [self.job_of(run).output("metrics.json") for run in self.progress.runs]

    def design(self) -> dict[str, Any]:
        """What the study declares of its statistics: the arguments of ``Design``."""
        cells = defaultdict(list)
        for run in self.study.runs():
            cells[run.cell].append(run.seed)
        names = [field.name for field in fields(Run)][:-1]
        return {
            **self.study.statistics.model_dump(),
            "planned": [
                {**dict(zip(names, cell, strict=True)), "seeds": seeds}
                for cell, seeds in sorted(cells.items())
            ],
            "seeds": self.study.seed_order,
        }

    def is_settled(self) -> bool:
        """Whether every result is there, made by today's options and code."""
        return all(file.is_current() for file in self.results())

    def lacks_weights(self, job: Job) -> bool:
        """Whether a run's final weights are to be kept and are not there."""
        if not self.config.keep_weights or job.rule not in ("dense", "retrain"):
            return False
        return not os.path.exists(f"{os.path.dirname(job.outputs[0])}/weights.safetensors")

    def files(self) -> dict[str, str]:
        """Path -> today's fingerprint of every file with one that a job of the study makes."""
        found: dict[str, str] = {}
        waiting, seen = [self.job_of(run) for run in self.study.runs()], set()
        while waiting:
            job = waiting.pop()
            if id(job) in seen or job.rule == "download":
                continue
            seen.add(id(job))
            found |= {p: job.fingerprint for p in job.outputs if not p.endswith(".csv")}
            waiting += [file.job for file in job.inputs.values()]
        return found

    def look_now(self) -> str:
        """The file of the look whose runs are made now."""
        return self.look(self.progress.look, self.progress.runs)

    def collected(self, results: Iterable[File]) -> str:
        """Fingerprint of runs.csv and what is collected beside it from these results."""
        made_of = [(os.path.relpath(file.path, self.root), file.fingerprint) for file in results]
        said = self.study.own_questions
        return digest([made_of, self.study_digest, said, code_of("jackpot.stages.collect")])

    @property
    def shown_by(self) -> str:
        """Fingerprint of the code of what is made of runs.csv, which has no place for one.

        about.json keeps it, for who finds verdicts, figures and page without Snakemake's memory.
        """
        return digest([code_of(f"jackpot.stages.{stage}") for stage in SHOWING])

    @property
    def study_digest(self) -> str:
        """Of the whole study, every setting resolved."""
        return digest(self.study.model_dump())

    def own_code(self) -> dict[str, str]:
        """Fingerprint of every file of the user's own that the study names, by absolute path."""
        study = self.study
        pruners, models = study.all_pruners.values(), study.models.items()
        named = [(SCORES, pruner.score) for pruner in pruners]
        named += [(ALLOCATIONS, pruner.allocation) for pruner in pruners]
        named += [(MODELS, model.architecture or name) for name, model in models]
        named += [(KINDS, dataset.kind) for dataset in study.datasets.values()]
        named += [(CHECKS, source) for source in study.checks.values()]
        files = {registry.source(name)[0].resolve() for registry, name in named if is_own(name)}
        return {str(path): code_of_file(str(path)) for path in sorted(files)}

    def study_options(self) -> str:
        """The study as this machine reads it, as ``jackpot.study.options.add_study`` has it."""
        config = self.config
        values = {"study": config.study, "results_dir": config.results_dir}
        datasets = json.dumps(config.datasets) if config.datasets else None
        return command_options({**values, "data_dir": config.data_dir, "datasets": datasets})

    def request(self, rule: str) -> dict[str, int | str]:
        """What a rule's jobs ask a cluster for; the study overrides config.yaml."""
        return {**self.config.resources.of(rule), **self.study.resources.of(rule)}
