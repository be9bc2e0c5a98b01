"""Where the files of a study are: a path tells which rule made the file."""

import os
from dataclasses import fields
from typing import Any

from jackpot.errors import JackpotError
from jackpot.fingerprints import digest
from jackpot.study.config import Config
from jackpot.study.consistency import check_applies
from jackpot.study.model import RUN_FOLDER, Run, Study


class Paths:
    """The files of one study on one machine. Wildcards in braces, as arguments, give a pattern."""

    def __init__(self, study: Study, config: Config):
        self.study, self.config = study, config
        self.root = f"{config.results_dir}/{study.name}"

    def data(self, dataset: str, data: str) -> str:
        """A version of a dataset."""
        return f"{self.root}/data/{dataset}/{data}.safetensors"

    def source(self, dataset: str) -> str:
        """The record of a dataset's source; another definition has another one."""
        definition = digest([self.study.datasets[dataset].model_dump(exclude_none=True)])[:8]
        return f"{self.config.data_dir}/{dataset}/source-{definition}.json"

    def weights(self, dataset: str, model: str, seed: int | str, file: str) -> str:
        """A file of weights: ``init.safetensors``, or ``<data>/trained.safetensors``."""
        return f"{self.root}/weights/{dataset}/{model}/seed{seed}/{file}"

    def mask(
        self, dataset: str, model: str, pruner: str, data: str, seed: int | str, sparsity: Any
    ) -> str:
        """A mask."""
        folder = f"{self.root}/masks/{dataset}/{model}/{pruner}/{data}/seed{seed}"
        return f"{folder}/sparsity{sparsity}.safetensors"

    def run(self, dataset, model, ticket, check, sparsity, seed) -> str:
        """The folder of a run's results."""
        names = {"dataset": dataset, "model": model, "ticket": ticket, "check": check}
        return f"{self.root}/{RUN_FOLDER.format(**names, sparsity=sparsity, seed=seed)}"

    def check_target(self, path: str) -> None:
        """Refuse a file of a run that is not in the study; a check that it leaves out is welcome,
        if it applies to the ticket.

        Raises:
            JackpotError: naming the first part of its path that no run has, and what there is.
        """
        names = [field.name for field in fields(Run)]
        asked = os.path.relpath(path, f"{self.root}/runs").split("/")
        if len(asked) != len(names) + 1 or asked[0] == "..":
            return
        left = [run.path.split("/")[1:] for run in self.study.runs()]
        for level, (name, part) in enumerate(zip(names, asked, strict=False)):
            if name == "check" and part in self.study.all_checks:
                try:
                    check_applies(self.study, asked[level - 1], self.study.all_checks[part])
                except ValueError as error:
                    raise JackpotError(f"{path}: {error}.") from None
                continue
            allowed = dict.fromkeys(parts[level] for parts in left)
            if part not in allowed:
                value, *others = (text.removeprefix(name) for text in (part, *allowed))
                where = "/".join(asked[:level])
                raise JackpotError(
                    f"{path}: {name} {value} is not in the study {self.config.study}; "
                    f"{f'{where} has' if where else 'it has'} {', '.join(others)}. "
                    "Add it under experiments, or ask for another cell."
                )
            left = [parts for parts in left if parts[level] == part]
