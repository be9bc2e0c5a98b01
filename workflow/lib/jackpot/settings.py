"""The settings a study or a command line can give: one source of types, defaults, help and docs.

Each field's description is what ``--help``, the JSON schema and docs/study.md say of it.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    model_validator,
)

from jackpot.errors import did_you_mean


def refuse_number(name: str) -> str:
    """Refuse what pandas would read as a number, a truth or nothing."""
    try:
        # Only Python takes underscores in numbers.
        float(name.replace("_", "x"))
    except ValueError:
        if name not in ("NA", "NULL", "None", "null") and name.lower() not in ("true", "false"):
            return name
    raise ValueError(f"{name!r} would be read as a number, or as nothing, in tables; add a word")


PathName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
NameInTables = Annotated[PathName, AfterValidator(refuse_number)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Arithmetic = Literal["native", "portable"]
Device = Literal["auto", "cpu", "cuda"]


def dotted(path: Sequence[str | int]) -> str:
    """``training.milestones[0]``."""
    key = ""
    for part in path:
        key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
    return key


def complaints(error: ValidationError, key_of: Callable = dotted) -> list[str]:
    """What is wrong with settings, a line each: key, reason, and the value that was given."""
    lines = []
    for problem in error.errors():
        key, given = key_of(problem["loc"]), problem["input"]
        reason = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "missing":
            reason = "this key is missing"
        elif problem["type"] in ("model_type", "dict_type"):
            reason = "Input should be a mapping of keys to values"
        if problem["type"] not in ("missing", "value_error") and not isinstance(given, dict | list):
            reason += f" (got {given!r}){_hint(problem)}"
        lines.append(f"{key}: {reason}" if key else reason)
    return list(dict.fromkeys(lines))


def _hint(problem: Mapping[str, Any]) -> str:
    """What was meant, where that can be told from what was given."""
    given = problem["input"]
    if problem["type"] in ("list_type", "tuple_type") and given is not None:
        return f"; write [{given}]"
    if problem["type"] == "less_than" and problem["ctx"]["lt"] == 1:
        return "; give a fraction: 0.8 for 80 %"
    return ""


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors that name the allowed ones."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        allowed = list(cls.model_fields)
        for key in values:
            if key not in allowed:
                hint = did_you_mean(key, allowed)
                raise ValueError(f"unknown key {key!r}.{hint} Allowed keys: {', '.join(allowed)}")
        return values

    @property
    def idle(self) -> set[str]:
        """Fields that decide nothing, as another field's value is."""
        return set()

    def in_use(self) -> dict[str, Any]:
        """What a job is told: every field that decides something."""
        return self.model_dump(exclude=self.idle)

    def changed_by(self, changes: "Settings") -> Self:
        """A copy with every value that ``changes`` sets."""
        return type(self).model_validate(
            {**self.model_dump(), **changes.model_dump(exclude_unset=True)}
        )


class Training(Settings):
    """How a network is trained. The defaults are su2020's."""

    epochs: Positive = Field(160, description="epochs of a whole training, which decay refers to")
    batch_size: Positive = Field(64, description="images a step")
    learning_rate: float = Field(0.1, gt=0, description="learning rate of the first epoch")
    momentum: float = Field(0.9, ge=0, lt=1, description="SGD momentum")
    nesterov: bool = Field(False, description="Nesterov's form of momentum")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty on every parameter")
    decay: Literal["step", "linear", "linear_to_zero"] = Field(
        "step",
        description="step: times `factor` at each milestone; linear: towards zero, which comes "
        "after the last epoch; linear_to_zero: an epoch ahead of that, so the last epoch has it",
    )
    milestones: tuple[Share, ...] = Field(
        (0.5, 0.75), description="fractions of `epochs` at which step decay acts"
    )
    factor: float = Field(0.1, gt=0, le=1, description="what step decay multiplies with")
    missed_milestones: Literal["multiply", "preset"] | None = Field(
        None,
        description="milestones before the epoch that was rewound to. By default they have acted. "
        "Otherwise they never do, and the next one multiplies the rate by `factor` (su2020) or "
        "sets the preset rate of its place (mlrc2020)",
    )
    crop_padding: int = Field(
        4, ge=0, description="zero padding, in pixels, before a random crop to the old size"
    )
    flip: bool = Field(True, description="random horizontal flips")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16: autocast; weights and optimizer stay float32",
    )
    channels_last: bool = Field(True, description="memory layout of images and convolutions")

    @property
    def idle(self) -> set[str]:
        """Steps are the step decay's."""
        return set() if self.decay == "step" else {"milestones", "factor", "missed_milestones"}


class PruningBatch(Settings):
    """The images a score sees."""

    kind: Literal["per_class", "shuffled"] = Field(
        "per_class",
        description="per_class: some of every class, in order; shuffled: one training batch",
    )
    samples_per_class: Positive = Field(10, description="per_class: images of every class")
    draws: Positive = Field(1, description="per_class: draws whose gradients are summed")
    size: Positive = Field(128, description="shuffled: images in the batch")

    @property
    def idle(self) -> set[str]:
        """Each kind has fields of its own."""
        return {"size"} if self.kind == "per_class" else {"samples_per_class", "draws"}


class Pruner(Settings):
    """Score x allocation x the weights it looks at; makes masks."""

    score: str = Field(description="a score's name, or file.py:function, or module:function")
    allocation: str = Field(
        "global",
        description="how many weights stay in each layer; a built-in score: as many as it leaves",
    )
    weights: Literal["initial", "trained"] = Field(
        "initial", description="which weights the score looks at"
    )
    score_options: dict[str, Any] = Field({}, description="keyword arguments of the score")
    allocation_options: dict[str, Any] = Field({}, description="keyword arguments of allocation")
    rounds: Positive = Field(
        1, description="score and prune this many times on an exponential density schedule"
    )
    keep_classifier: bool = Field(
        False, description="the last layer stays whole, and counts in the total"
    )
    structured: bool = Field(False, description="remove whole filters")
    iterations: Positive = Field(
        1, description="train, prune and restart this many times (the lottery ticket's schedule)"
    )

    @model_validator(mode="after")
    def _check_iterations(self):
        if self.iterations > 1 and (self.weights != "trained" or self.rounds > 1):
            raise ValueError("iterations train between cuts: they need weights: trained, rounds: 1")
        return self


class TicketRecipe(Settings):
    """A mask, starting weights, and where the learning-rate schedule starts."""

    pruner: str | None = Field(description="name of the pruner; null for a dense network")
    weights: Literal["initial", "rewound", "trained"] = Field(
        "initial", description="starting weights; rewound: those of `rewind_epoch`"
    )
    schedule: Literal["start", "rewound"] = Field(
        "start", description="where the learning-rate schedule starts: epoch 0 or `rewind_epoch`"
    )

    @model_validator(mode="after")
    def _check_dense(self) -> Self:
        if self.pruner is None and (self.weights, self.schedule) != ("initial", "start"):
            raise ValueError(
                "pruner: null is the pretrained network itself, which is not trained again; leave "
                "weights and schedule out"
            )
        return self


# Where nothing is declared.
MARGIN, ALPHA = 0.5, 0.05


class Statistics(Settings):
    """What is declared before anything is run."""

    margin: float = Field(
        MARGIN, gt=0, lt=100, description="points of accuracy within which two means count as equal"
    )
    alpha: float = Field(
        ALPHA, gt=0, lt=0.5, description="chance of any wrong word of one kind in the whole study"
    )
    looks: tuple[int, ...] | None = Field(
        None,
        description="rising numbers of seeds at which verdicts are reached; what is decided at one "
        "gets no more seeds. Default: one look, at the seeds of each experiment",
    )
    shares: tuple[float, ...] | None = Field(
        None, description="the part of alpha that each look spends; default: equal parts"
    )

    @model_validator(mode="after")
    def _check_looks(self) -> Self:
        looks, shares = self.looks, self.shares
        rise = looks is None or (looks and all(a < b for a, b in pairwise((1, *looks))))
        if not rise:
            raise ValueError(f"looks are {list(looks)}: give rising numbers of seeds, from 2 on")
        count = len(looks or (1,))
        if shares is not None and (
            len(shares) != count or not min(shares) > 0 or not sum(shares) <= 1 + 1e-9
        ):
            raise ValueError(
                f"shares are {list(shares)}: give one for each of the {count} look(s), above 0 "
                "and at most 1 in all"
            )
        return self


Request = dict[str, int | str]


class Requests(Settings):
    """What jobs ask a cluster for, by rule: Snakemake's resources, e.g. runtime and mem_mb."""

    every_job: Request = Field({}, description="for all of them, e.g. slurm_account")
    prepare: Request = Field({}, description="reading a dataset into tensors")
    corrupt: Request = Field({}, description="spoiling a dataset")
    initialise: Request = Field({}, description="drawing initial weights")
    pretrain: Request = Field({}, description="training a dense network")
    prune: Request = Field({}, description="scoring and cutting masks")
    prune_iteratively: Request = Field({}, description="training between cuts, again and again")
    retrain: Request = Field({}, description="training a ticket")

    def of(self, rule: str) -> Request:
        """What one rule's jobs ask for."""
        return {**self.every_job, **getattr(self, rule)}


def _changes(settings: type[Settings]) -> type[Settings]:
    """The same fields, all optional, for a partial override."""
    fields = {
        name: (
            Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation,
            Field(None, description=field.description, validate_default=False),
        )
        for name, field in settings.model_fields.items()
    }
    return create_model(
        f"{settings.__name__}Changes",
        __base__=Settings,
        __doc__=f"Any of the keys of {settings.__name__}; keys left out change nothing.",
        **fields,
    )


TrainingChanges = _changes(Training)
PruningBatchChanges = _changes(PruningBatch)
