"""The one description of every job: path, inputs, options, code and fingerprint, a method a rule.

The rules in workflow/rules take them from here; so do the list of what is stale and the test of
whether a study is complete. No Snakemake, no torch.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any

from jackpot.architectures import MODELS
from jackpot.checks import JOIN
from jackpot.data.kinds import KINDS
from jackpot.fingerprints import code_of
from jackpot.pruning.allocation import code_of_allocation
from jackpot.pruning.scores import SCORES
from jackpot.registry import is_own
from jackpot.study.config import Config
from jackpot.study.jobs import File, Job
from jackpot.study.model import Run, Study
from jackpot.study.paths import RESULTS, Paths
from jackpot.study.scopes import check_of_data, edits_of_ticket

# Wildcards are text: "5" and 5 are one seed, "0.90" and 0.9 one sparsity.
_ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "seed": int,
    "sparsity": lambda value: f"{float(value):g}",
}


def once(describe: Callable[..., Job]) -> Callable[..., Job]:
    """Describe a job of these arguments once, and be quick the next time."""
    rule, names = describe.__name__, tuple(signature(describe).parameters)[1:]
    read = tuple((name, _ARGUMENTS.get(name, str)) for name in names)

    @wraps(describe)
    def described(self: "Rules", *values, **named) -> Job:
        given = {**dict(zip(names, values, strict=False)), **named}
        arguments = tuple(as_one(given[name]) for name, as_one in read)
        if (rule, arguments) not in self._jobs:
            self._jobs[rule, arguments] = describe(self, *arguments)
        return self._jobs[rule, arguments]

    return described


class Rules(Paths):
    """The jobs of one study on one machine.

    A method that is named like a rule describes a job of it; its arguments are the rule's
    wildcards, or the values that they stand for.
    """

    def __init__(self, study: Study, config: Config):
        super().__init__(study, config)
        self._jobs: dict[tuple, Job] = {}

    def of(self, rule: str, wildcards) -> Job:
        """The job that Snakemake's wildcards name."""
        return getattr(self, rule)(**dict(wildcards.items()))

    def download(self, dataset: str, source: str = "") -> Job:
        """Have a dataset's source at hand; ``source`` is in its path alone."""
        definition = self.study.datasets[dataset]
        mirrors = self.config.mirrors.get(dataset)
        return Job(
            "download",
            (self.source(dataset),),
            options={"dataset": dataset, **definition.model_dump(), "mirrors": mirrors},
            where_only=("path", "url") if definition.has_digest else (),
        )

    @once
    def prepare(self, dataset: str) -> Job:
        """Read a dataset into one file of tensors."""
        kind = self.study.datasets[dataset].kind
        arrays = [code_of("jackpot.data.arrays")] if is_own(kind) else []
        return Job(
            "prepare",
            (self.data(dataset, "clean"),),
            inputs={"source": File(self.source(dataset), self.download(dataset))},
            code=(KINDS.code(kind), *arrays),
        )

    @once
    def corrupt(self, dataset: str, data: str) -> Job:
        """Spoil a dataset as a data check says."""
        check = self.study.check_of(check_of_data(data))
        return Job(
            "corrupt",
            (self.data(dataset, data),),
            inputs={"clean": self._data(dataset, "clean")},
            options={
                "check": check.name,
                "own_checks": self.study.own_checks(check),
                "seed": self.study.data_seed,
                **_check_options(self.study.options_of_data(data)),
            },
            code=(code_of("jackpot.stages.corrupt"), check.code),
        )

    @once
    def initialise(self, dataset: str, model: str, seed: int) -> Job:
        """Draw initial weights."""
        spec = self.study.models[model]
        architecture = spec.architecture or model
        return Job(
            "initialise",
            (self.weights(dataset, model, seed, "init.safetensors"),),
            inputs={"data": self._data(dataset, "clean")},
            options={
                "architecture": architecture,
                **spec.given(architecture),
                "seed": seed,
                "arithmetic": self.study.arithmetic,
            },
            code=(code_of("jackpot.stages.initialise"), MODELS.code(architecture)),
        )

    @once
    def pretrain(self, dataset: str, model: str, seed: int, data: str) -> Job:
        """Train a dense network."""
        names = [*RESULTS, "trained.safetensors"]
        names += [f"epoch{epoch}.safetensors" for epoch in self.study.rewind_epochs]
        cell = {"ticket": "dense", "check": check_of_data(data), "sparsity": 0}
        return Job(
            "pretrain",
            tuple(self.weights(dataset, model, seed, f"{data}/{name}") for name in names),
            inputs={
                "clean": self._data(dataset, "clean"),
                "data": self._data(dataset, data),
                "weights": self._initial(dataset, model, seed),
            },
            options={
                **self._cell(dataset, model, seed, cell),
                **self.study.pretraining_of(dataset, model).in_use(),
                "snapshots": self.study.rewind_epochs or None,
            },
            code=(code_of("jackpot.stages.pretrain"),),
        )

    @once
    def prune(self, dataset: str, model: str, pruner: str, data: str, seed: int) -> Job:
        """Score once and cut at every sparsity of the study.

        ``data`` is a version of the dataset, and after a plus the check that edits the scores:
        ``clean+inverted``.
        """
        cell = (dataset, model, pruner, data, seed)
        seen, _, name = data.partition(JOIN)
        check = self.study.check_of(name) if name else None
        edit = {}
        if check:
            own = self.study.own_checks(check)
            chosen = _check_options(self.study.check_options.get(name, {}))
            edit = {"check": name, "own_checks": own, **chosen}
        sparsities = [f"{s:g}" for s in self.study.sparsities]
        return Job(
            "prune",
            tuple(self.mask(*cell, sparsity) for sparsity in sparsities),
            inputs={
                "data": self._data(dataset, seen),
                "weights": self._scored(dataset, model, pruner, seen, seed),
            },
            options={
                **self._pruner(dataset, model, pruner, seed),
                **edit,
                "sparsities": sparsities,
            },
            code=(
                code_of("jackpot.stages.prune"),
                *self._method(pruner),
                *([check.code] if check else []),
            ),
        )

    @once
    def prune_iteratively(
        self, dataset: str, model: str, pruner: str, data: str, seed: int, sparsity: str
    ) -> Job:
        """Train, cut and restart, several times over; a job for each sparsity."""
        cell = (dataset, model, pruner, data, seed)
        return Job(
            "prune_iteratively",
            (self.mask(*cell, sparsity),),
            inputs={
                "clean": self._data(dataset, "clean"),
                "data": self._data(dataset, data),
                "initial": self._initial(dataset, model, seed),
                "weights": self._scored(dataset, model, pruner, data, seed),
            },
            options={
                **self._pruner(dataset, model, pruner, seed),
                "iterations": self.study.all_pruners[pruner].iterations,
                **self.study.pretraining_of(dataset, model).in_use(),
                "sparsity": sparsity,
            },
            code=(code_of("jackpot.stages.prune_iteratively"), *self._method(pruner)),
        )

    @once
    def dense(self, dataset, model, ticket, check, sparsity, seed) -> Job:
        """The row of the dense network, which is that of its pretraining."""
        folder = self.run(dataset, model, ticket, check, sparsity, seed)
        network = self.study.network_of(dataset, model, ticket)
        pretraining = self.pretrain(dataset, network, seed, "clean")
        names = {"metrics": "metrics.json", "history": "history.csv"}
        if self.config.keep_weights:
            names["weights"] = "trained.safetensors"
        return Job(
            "dense",
            tuple(f"{folder}/{name}" for name in RESULTS),
            inputs={option: pretraining.output(name) for option, name in names.items()},
            copies="metrics",
        )

    @once
    def retrain(self, dataset, model, ticket, check, sparsity, seed) -> Job:
        """Train a ticket."""
        cell = (dataset, model, ticket)
        settings = self.study.all_tickets[ticket]
        rewound = settings.schedule == "rewound"
        network = self.study.network_of(*cell)
        data = self.study.data_of(dataset, network, settings.pruner, check)
        folder = self.run(*cell, check, sparsity, seed)
        names = {"ticket": ticket, "check": check, "sparsity": sparsity}
        found = self.study.check_of(check)
        # A check of scores has been in the mask since it was cut.
        ranked = found.editor("scores")
        seen = f"{data}{JOIN}{ranked.name}" if ranked else data
        edits = edits_of_ticket(found)
        options = {}
        for part in edits:
            options |= self.study.check_options.get(part.name, {})
        return Job(
            "retrain",
            tuple(f"{folder}/{name}" for name in RESULTS),
            inputs={
                "clean": self._data(dataset, "clean"),
                "weights": self._start(*cell, data, seed),
                "mask": self._mask(dataset, network, settings.pruner, seen, seed, sparsity),
            },
            options={
                **self._cell(dataset, model, seed, names),
                **self.study.retraining_of(*cell).in_use(),
                "retrain_epochs": self.study.retrain_epochs_of(*cell),
                "first_epoch": self.study.rewind_epoch_of(*cell) if rewound else 0,
                "keep_weights": self.config.keep_weights,
                "own_checks": self.study.own_checks(found),
                **_check_options(options),
            },
            code=(code_of("jackpot.stages.retrain"), *(part.code for part in edits)),
        )

    def iterative_pruners(self) -> list[str]:
        """The pruners that train between their cuts."""
        return [name for name, p in self.study.all_pruners.items() if p.iterations > 1]

    def job_of(self, run: Run) -> Job:
        """The job that makes a run's results."""
        rule = "dense" if self.study.pruner_of(run.ticket) is None else "retrain"
        return getattr(self, rule)(**vars(run))

    # What the jobs are described with.

    def _data(self, dataset: str, data: str) -> File:
        job = self.prepare(dataset) if data == "clean" else self.corrupt(dataset, data)
        return File(job.outputs[0], job)

    def _initial(self, dataset: str, model: str, seed: int) -> File:
        job = self.initialise(dataset, model, seed)
        return File(job.outputs[0], job)

    def _scored(self, dataset, model, pruner, data, seed) -> File:
        if self.study.all_pruners[pruner].weights == "initial":
            return self._initial(dataset, model, seed)
        return self.pretrain(dataset, model, seed, data).output("trained.safetensors")

    def _start(self, dataset, model, ticket, data, seed) -> File:
        start = self.study.all_tickets[ticket].weights
        network = self.study.network_of(dataset, model, ticket)
        if start == "initial":
            return self._initial(dataset, network, seed)
        epoch = self.study.rewind_weights_epoch_of(dataset, model, ticket)
        name = "trained" if start == "trained" else f"epoch{epoch}"
        return self.pretrain(dataset, network, seed, data).output(f"{name}.safetensors")

    def _mask(self, dataset, model, pruner, data, seed, sparsity) -> File:
        if pruner in self.iterative_pruners():
            job = self.prune_iteratively(dataset, model, pruner, data, seed, sparsity)
        else:
            job = self.prune(dataset, model, pruner, data, seed)
        return job.output(f"sparsity{sparsity}.safetensors")

    def _method(self, pruner: str) -> tuple[str, ...]:
        settings = self.study.all_pruners[pruner]
        return SCORES.code(settings.score), code_of_allocation(settings.allocation)

    def _pruner(self, dataset: str, model: str, pruner: str, seed: int) -> dict[str, Any]:
        settings = self.study.all_pruners[pruner].model_dump(exclude={"weights", "iterations"})
        batch = self.study.pruning_batch_of(dataset, model, pruner).in_use()
        computed = {"seed": seed, "arithmetic": self.study.arithmetic}
        return {**settings, **batch, **computed}

    def _cell(self, dataset: str, model: str, seed: int, cell: dict) -> dict[str, Any]:
        names = {"study": self.study.name, "dataset": dataset, "model": model}
        return {**names, **cell, "seed": seed, "arithmetic": self.study.arithmetic}


def _check_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A check's options as the scripts take them: the scope by itself, the rest together."""
    rest = {key: value for key, value in options.items() if key != "scope"}
    return {"scope": options.get("scope"), "check_options": rest or None}
