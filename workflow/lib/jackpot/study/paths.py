"""Where the files of a study are: a path tells which rule made the file."""

import os
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from jackpot.checks import JOIN
from jackpot.errors import JackpotError
from jackpot.fingerprints import digest
from jackpot.study.config import Config
from jackpot.study.consistency import check_applies
from jackpot.study.model import RUN_FOLDER, Run, Study

SNAKEFILE = Path(__file__).parents[4] / "Snakefile"
# What a run can be asked for by.
RESULTS = ("metrics.json", "history.csv")
# What the parts of a path below them name, in order.
_NAMED = {
    "data": ("dataset", "data"),
    "weights": ("dataset", "model", "seed", "data"),
    "masks": ("dataset", "model", "pruner", "data", "seed", "sparsity"),
}
# Below a study's results, what its jobs make; tables and the page are beside these.
FOLDERS = (*_NAMED, "runs")


class Paths:
    """The files of one study on one machine. Wildcards in braces, as arguments, give a pattern."""

    def __init__(self, study: Study, config: Config):
        self.study, self.config = study, config
        # As Snakemake spells a path that is asked for.
        self.root = os.path.normpath(f"{config.results_dir}/{study.name}")

    def data(self, dataset: str, data: str) -> str:
        """A version of a dataset."""
        return f"{self.root}/data/{dataset}/{data}.safetensors"

    def source(self, dataset: str) -> str:
        """The record of a dataset's source; another definition, or place, has another one."""
        definition = self.study.datasets[dataset].model_dump(exclude_none=True)
        if path := definition.get("path"):
            # Another project may have other images at the same relative path.
            definition["path"] = os.path.relpath(os.path.expanduser(path), self.config.data_dir)
        record = f"{dataset}/source-{digest([definition])[:8]}.json"
        return os.path.normpath(f"{self.config.data_dir}/{record}")

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
        """Refuse a file below the study's results, or a source, that is not of today's study.

        Raises:
            JackpotError: naming the first part of its path that the study lacks, and what there is.
        """
        self._check_source(path)
        folder, *asked = os.path.relpath(path, self.root).split("/")
        if folder == "runs":
            self._check_run(path, asked)
        elif folder in _NAMED:
            for what, name, known in self._named(folder, asked):
                if name not in known:
                    raise JackpotError(
                        f"{path}: {what} {name} is not in the study {self.config.study}; it has "
                        f"{', '.join(known)}. Add it there, or ask for another file."
                    )

    def refuse_part_of_run(self, path: str) -> None:
        """Refuse what is below ``runs/`` and no result, which no rule makes.

        Raises:
            JackpotError: saying what a run is asked for by.
        """
        folder, *asked = os.path.relpath(path, self.root).split("/")
        if folder == "runs" and (len(asked) <= len(fields(Run)) or asked[-1] not in RESULTS):
            raise JackpotError(
                f"{path}: a run is asked for by {self.root}/{RUN_FOLDER}/{RESULTS[0]}. Its weights "
                "come along with keep_weights: true."
            )

    def refuse_other_study(self, path: str) -> None:
        """Refuse a file of another study, which no rule of this one's makes.

        Raises:
            JackpotError: naming both studies, and the option that chooses the other.
        """
        other, *rest = os.path.relpath(path, self.config.results_dir).split("/")
        # Downloads, which are every study's, may be kept beside results.
        shared = not os.path.relpath(path, self.config.data_dir).startswith("..")
        if not rest or shared or other in ("..", self.study.name):
            return
        file = Path(self.config.study).with_name(f"{other}.yaml")
        if file.exists() or rest[0] in FOLDERS:
            option = f"study={file if file.exists() else f'<the YAML file of {other}>'}"
            raise JackpotError(
                f"{path}: this path is of the study {other}, and this call is of "
                f"{self.study.name} ({self.config.study}). Add --config {option}."
            )

    def _check_source(self, path: str) -> None:
        """The rule would record today's source of the dataset under the name of another one."""
        dataset, *rest = os.path.relpath(path, self.config.data_dir).split("/")
        if len(rest) != 1 or not re.fullmatch(r"source-[0-9a-f]+\.json", rest[0]):
            return
        known = self.study.datasets
        if dataset not in known:
            raise JackpotError(
                f"{path}: dataset {dataset} is not in the study {self.config.study}; it has "
                f"{', '.join(known)}."
            )
        if rest[0] != os.path.basename(self.source(dataset)):
            raise JackpotError(
                f"{path}: this source is of another definition of the dataset {dataset} than "
                f"today's in {self.config.study}, whose is {self.source(dataset)}."
            )

    def _named(self, folder: str, asked: list[str]) -> Iterator[tuple[str, str, list[str]]]:
        """What each part of a path names, the name, and what the study has of this."""
        runs, checks = self.study.runs(), self.study.all_checks
        versions = [check for name in self.study.data_versions for check in self._versions(name)]
        known = {
            "dataset": list(self.study.datasets),
            "model": list(self.study.models),
            "pruner": list(self.study.all_pruners),
            "seed": [str(seed) for seed in sorted({run.seed for run in runs})],
            "sparsity": [f"{sparsity:g}" for sparsity in self.study.sparsities],
        }
        *above, last = asked or [""]
        # A file of weights has a name of its own, any other is named by what it is of.
        parts = above if folder == "weights" else [*above, last.removesuffix(".safetensors")]
        for what, part in zip(_NAMED[folder], parts, strict=False):
            if what == "data":
                # A check of the scores follows the data that they are of.
                data, _, check = part.partition(JOIN)
                yield what, data, ["clean", *versions]
                if check:
                    of_scores = [name for name, c in checks.items() if "scores" in c.edits]
                    yield "check of scores", check, of_scores
            else:
                yield what, _value(what, part), known[what]

    def _versions(self, check: str) -> list[str]:
        """Every version of a dataset that a check of data can make."""
        return [check, *(f"{check}-{scope}" for scope in self.study.all_checks[check].scopes)]

    def _check_run(self, path: str, asked: list[str]) -> None:
        """A check that the study leaves out is welcome, if it applies to the ticket."""
        names = [field.name for field in fields(Run)]
        if len(asked) != len(names) + 1:
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
                value, *others = (_value(name, text) for text in (part, *allowed))
                where = "/".join(asked[:level])
                raise JackpotError(
                    f"{path}: {name} {value} is not in the study {self.config.study}; "
                    f"{f'{where} has' if where else 'it has'} {', '.join(others)}. "
                    "Add it under experiments, or ask for another cell."
                )
            left = [parts for parts in left if parts[level] == part]


def _value(what: str, part: str) -> str:
    """What a part of a path says: ``seed3`` is seed 3, and other parts are names as they are."""
    return part.removeprefix(what) if what in ("seed", "sparsity") else part
