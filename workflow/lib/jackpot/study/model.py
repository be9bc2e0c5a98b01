"""A study: which tickets, checks, sparsities and seeds to run on which datasets and models."""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from jackpot.architectures import MODELS
from jackpot.checks import CHECKS, JOIN, Check, find_check, version_of_data
from jackpot.registry import is_own
from jackpot.settings import (
    Arithmetic,
    NameInTables,
    PathName,
    Pruner,
    PruningBatch,
    Requests,
    Settings,
    Statistics,
    TicketRecipe,
    Training,
)
from jackpot.study.consistency import check_study
from jackpot.study.parts import (
    CheckName,
    Dataset,
    Experiment,
    Logging,
    Model,
    Override,
    Seed,
    check_method,
)
from jackpot.study.scopes import data_of, one_of, options_of_data
from jackpot.study.tickets import (
    PRUNERS,
    TICKETS,
    applicable_checks,
    check_pruner,
)
from jackpot.vocabulary import families

# Below the study's results.
RUN_FOLDER = "runs/{dataset}/{model}/{ticket}/{check}/sparsity{sparsity}/seed{seed}"


@dataclass(frozen=True, order=True)
class Run:
    """One trained ticket; a row of runs.csv and a folder of results."""

    dataset: str
    model: str
    ticket: str
    check: str
    sparsity: float
    seed: int

    @property
    def cell(self) -> tuple[str, str, str, str, float]:
        """The run without its seed."""
        return (self.dataset, self.model, self.ticket, self.check, self.sparsity)

    @property
    def path(self) -> str:
        """Folder of the run below the study's results."""
        return RUN_FOLDER.format(**{**vars(self), "sparsity": f"{self.sparsity:g}"})


class Study(Settings):
    """One YAML file: what to run."""

    name: PathName = Field(description="results are written to <results_dir>/<name>")
    description: str = Field("", description="shown at the top of the report")
    datasets: Annotated[dict[NameInTables, Dataset], Field(min_length=1)] = Field(
        description="the study's datasets by name"
    )
    models: Annotated[dict[NameInTables, Model], Field(min_length=1)] = Field(
        description="the study's models by name"
    )
    training: Training = Field(Training(), description="how networks are trained")
    arithmetic: Arithmetic = Field(
        "native",
        description="portable: AVX2 and no more, so that other processors give the same bits",
    )
    rewind_epoch: Annotated[int, Field(ge=0)] = Field(
        0, description="epoch to which partially-trained tickets rewind"
    )
    rewind_weights_epoch: Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="epochs trained after which weights are those to rewind to, where they are not "
        "those of the epoch that the schedule rewinds to; default: `rewind_epoch`",
    )
    retrain_epochs: Annotated[int, Field(ge=1)] | None = Field(
        None, description="epochs after rewinding; default: the rest of the schedule"
    )
    pruning_batch: PruningBatch = Field(PruningBatch(), description="the images a score sees")
    pruners: dict[NameInTables, Pruner] = Field(
        {}, description="your own, beside the built-in ones"
    )
    tickets: dict[NameInTables, TicketRecipe] = Field(
        {}, description="your own, beside the built-in ones"
    )
    checks: dict[CheckName, str] = Field(
        {}, description="your own, beside the built-in ones: name: file.py:function, or file.py"
    )
    check_options: dict[str, dict[str, Any]] = Field(
        {}, description="options of a check, e.g. random_pixels: {scope: rows}"
    )
    data_seed: Seed = Field(0, description="seed of the corrupted datasets, shared by all runs")
    overrides: list[Override] = Field([], description="other settings for some cells")
    experiments: Annotated[list[Experiment], Field(min_length=1)] = Field(description="what is run")
    statistics: Statistics = Field(Statistics(), description="declared before anything is run")
    resources: Requests = Field(
        Requests(), description="what its jobs ask a cluster for, which override config.yaml"
    )
    logging: Logging = Field(Logging(), description="extra logs")

    @field_validator("pruners")
    @classmethod
    def _check_pruners(cls, pruners):
        for name, pruner in pruners.items():
            try:
                check_pruner(pruner)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return pruners

    @field_validator("checks")
    @classmethod
    def _check_own_checks(cls, checks):
        for name, source in checks.items():
            if name in CHECKS:
                raise ValueError(f"{name} is the name of a built-in check; choose another")
            if name == version_of_data("none"):
                raise ValueError(f"{name} is what unspoiled data are called; choose another name")
            if not is_own(source):
                raise ValueError(f"{name}: {source!r} is neither a file.py:function nor a file.py")
            try:
                CHECKS.read(source, name)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        return checks

    @field_validator("models")
    @classmethod
    def _check_models(cls, models):
        for name, model in models.items():
            architecture = model.architecture or name
            try:
                check_method(MODELS, architecture, {"width": model.width}, model.options)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            if model.initial == "own" and not is_own(architecture):
                raise ValueError(f"{name}: initial: own is for models of your own")
        return models

    @model_validator(mode="after")
    def _check_together(self):
        check_study(self)
        return self

    @cached_property
    def all_pruners(self) -> dict[str, Pruner]:
        """Built-in pruners, and the study's own or with its settings."""
        return {**PRUNERS, **self.pruners}

    @cached_property
    def all_tickets(self) -> dict[str, TicketRecipe]:
        """Built-in tickets and the study's own."""
        return {**TICKETS, **self.tickets}

    @cached_property
    def all_checks(self) -> dict[str, Check]:
        """Built-in checks and the study's own, without combinations."""
        return {name: find_check(name, self.checks) for name in (*CHECKS, *self.checks)}

    def check_of(self, name: str | list[str]) -> Check:
        """The check, or combination of checks, of a name.

        Raises:
            ValueError: there is none, or its members do not go together.
        """
        key = name if isinstance(name, str) else JOIN.join(name)
        if key not in self._found_checks:
            for each in key.split(JOIN):
                one_of("check", each, self.all_checks)
            self._found_checks[key] = find_check(key, self.checks)
        return self._found_checks[key]

    @cached_property
    def _found_checks(self) -> dict[str, Check]:
        return {}

    def own_checks(self, check: Check) -> dict[str, str] | None:
        """Where the study's own checks are among those that ``check`` is made of."""
        own = {c.name: self.checks[c.name] for c in check.parts if c.name in self.checks}
        return own or None

    @property
    def own_ingredients(self) -> dict[str, str]:
        """What each of the study's own checks spoils."""
        return {name: self.all_checks[name].spoils for name in self.checks}

    @property
    def own_questions(self) -> dict[str, str]:
        """What each of the study's own checks asks."""
        return {name: self.all_checks[name].question for name in self.checks}

    @cached_property
    def data_versions(self) -> list[str]:
        """Names of the spoiled versions of a dataset that checks of the study can make."""
        return [name for name, check in self.all_checks.items() if "data" in check.edits]

    def pruner_of(self, ticket: str) -> Pruner | None:
        """The pruner of a ticket; None for a dense one."""
        name = self.all_tickets[ticket].pruner
        return None if name is None else self.all_pruners[name]

    @cached_property
    def seed_order(self) -> list[int] | None:
        """The seeds in the order in which looks take them; None where no looks are declared."""
        looks = self.statistics.looks
        if looks is None:
            return None
        return next((e.seeds for e in self.experiments if e.seeds), list(range(looks[-1])))

    def runs(self) -> list[Run]:
        """Every run that the study may come to, once, sorted: those of its last look."""
        return self._runs

    @cached_property
    def _runs(self) -> list[Run]:
        found = set()
        for e in self.experiments:
            for name in e.tickets:
                ticket, pruner = self.all_tickets[name], self.pruner_of(name)
                if ticket.pruner is None:
                    checks, sparsities = ["none"], [0.0]
                else:
                    if e.checks == "all":
                        checks = applicable_checks(ticket, pruner, self.all_checks)
                    else:
                        checks = ["none", *(self.check_of(check).name for check in e.checks)]
                    sparsities = e.sparsities
                found |= {
                    Run(dataset, model, name, check, sparsity, seed)
                    for dataset in e.datasets or self.datasets
                    for model in e.models or self.models
                    for check in checks
                    for sparsity in sparsities
                    for seed in e.seeds or self.seed_order
                }
        return sorted(found)

    def pretraining_of(self, dataset: str, model: str) -> Training:
        """Settings of pretraining, overrides applied."""
        return self._resolve(self.training, "pretraining", dataset=dataset, model=model)

    def retraining_of(self, dataset: str, model: str, ticket: str) -> Training:
        """Settings of training a ticket, overrides applied."""
        cell = {"dataset": dataset, "model": model, "ticket": ticket}
        return self._resolve(self.training, "retraining", **cell)

    def pruning_batch_of(self, dataset: str, model: str, pruner: str) -> PruningBatch:
        """The images a pruner's score sees, overrides applied."""
        cell = {"dataset": dataset, "model": model, "pruner": pruner}
        return self._resolve(self.pruning_batch, "pruning_batch", **cell)

    def data_of(self, dataset: str, model: str, pruner: str | None, check: str) -> str:
        """The name of the version of the dataset that a pruner sees under a check."""
        cell = {"dataset": dataset, "model": model, "pruner": pruner}
        special = [o.check_options for o in self.overrides if o.when.matches(**cell)]
        return data_of(self.check_of(check), self.check_options, special)

    def options_of_data(self, data: str) -> dict[str, Any]:
        """Options of the check that makes a version of a dataset, by that version's name."""
        return options_of_data(data, self.check_options)

    def _resolve(self, settings, key: str, **cell: str):
        for override in self.overrides:
            if override.when.matches(**cell):
                settings = settings.changed_by(getattr(override, key))
        return settings

    def network_of(self, dataset: str, model: str, ticket: str) -> str:
        """The model whose weights and masks a ticket is made of: its own, or a stand-in for it."""
        return self._last_set("network", dataset, model, ticket) or model

    def rewind_epoch_of(self, dataset: str, model: str, ticket: str) -> int:
        """The epoch to which a ticket's schedule rewinds."""
        given = self._last_set("rewind_epoch", dataset, model, ticket)
        return self.rewind_epoch if given is None else given

    def rewind_weights_epoch_of(self, dataset: str, model: str, ticket: str) -> int:
        """After how many epochs of pretraining a ticket's rewound weights are taken."""
        cell = (dataset, model, ticket)
        given = self._last_set("rewind_weights_epoch", *cell)
        return self.rewind_epoch_of(*cell) if given is None else given

    def retrain_epochs_of(self, dataset: str, model: str, ticket: str) -> int:
        """How many epochs a ticket is trained for."""
        epochs = self.retraining_of(dataset, model, ticket).epochs
        if self.all_tickets[ticket].schedule == "start":
            return epochs
        given = self._last_set("retrain_epochs", dataset, model, ticket)
        return given or epochs - self.rewind_epoch_of(dataset, model, ticket)

    def _last_set(self, key: str, dataset: str, model: str, ticket: str):
        value = getattr(self, key, None)
        for override in self.overrides:
            matches = override.when.matches(dataset=dataset, model=model, ticket=ticket)
            # An override's null takes back what the study or an earlier override set.
            if matches and key in override.model_fields_set:
                value = getattr(override, key)
        return value

    @cached_property
    def sparsities(self) -> list[float]:
        """Every sparsity of the study at which masks are cut, ascending."""
        return sorted({r.sparsity for r in self.runs() if self.pruner_of(r.ticket)})

    @cached_property
    def rewind_epochs(self) -> list[int]:
        """Every epoch whose weights some ticket starts from."""
        return sorted(
            {
                self.rewind_weights_epoch_of(r.dataset, r.model, r.ticket)
                for r in self.runs()
                if self.all_tickets[r.ticket].weights == "rewound"
            }
        )

    def families(self) -> list[str]:
        """The families of its tickets; there is a table for each."""
        return families(run.ticket for run in self.runs())
