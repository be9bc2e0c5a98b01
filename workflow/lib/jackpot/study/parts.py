"""The parts of a study's YAML: datasets, models, experiments, overrides."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from jackpot.architectures import MODELS, initial_by_default
from jackpot.checks import JOIN
from jackpot.data.kinds import KINDS, is_published, needs_source
from jackpot.registry import Registry, is_own
from jackpot.settings import PruningBatchChanges, Settings, TrainingChanges, refuse_number


def _short(sparsity: float) -> float:
    if float(f"{sparsity:g}") != sparsity:
        raise ValueError("has more than six digits, more than a path can tell apart")
    return sparsity


# What a path to an archive ends with, which a folder's does not: a study says the same whether or
# not the disk with its images is there.
ARCHIVES = (".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zip")

# A dash and a plus have meanings of their own in the names of checks and of spoiled data.
CheckName = Annotated[
    str, Field(pattern="^[A-Za-z][A-Za-z0-9_]*$", max_length=64), AfterValidator(refuse_number)
]
Sparsity = Annotated[float, Field(ge=0, lt=1), AfterValidator(_short)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


def check_method(
    registry: Registry, name: str, keys: Mapping[str, Any], options: Mapping[str, Any] | None
) -> None:
    """Refuse a kind or a network, or the options that a study gives it in either place.

    Args:
        keys: the keys beside ``options`` that are options of some method; None where not given.

    Raises:
        ValueError: as ``Registry.check``; or an option is given past its key and the key's limits.
    """
    given = {key: value for key, value in keys.items() if value is not None}
    # An own method's option may have the name of a key that it does without.
    has_place = given if is_own(name) else {*keys} & {*registry.options(name)}
    if twice := [option for option in options or () if option in has_place]:
        raise ValueError(f"options: {twice[0]} is a key beside `options`; give it there")
    registry.check(name, {**given, **(options or {})})


class Dataset(Settings):
    """Where images come from and how they are read."""

    kind: str = Field(description="how the files are laid out, or your own file.py:function")
    path: str | None = Field(None, description="a local folder or archive, instead of a download")
    url: list[str] | str | None = Field(None, description="addresses to download from, in order")
    sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="digest the archive must have; an image_folder from a url needs it",
    )
    md5: str | None = Field(
        None, pattern="^[0-9a-f]{32}$", description="digest the archive must have, if no sha256"
    )
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="digits: share of the images that test"
    )
    size: Annotated[int, Field(ge=4, le=1024)] | None = Field(
        None, description="image_folder: side in pixels to which images are scaled"
    )
    channels: Literal[1, 3] | None = Field(None, description="image_folder: 1 for grey, 3 for RGB")
    options: dict[str, Any] | None = Field(
        None, description="your own kind: keyword arguments of its function"
    )
    verify: bool | None = Field(
        None,
        description="false: take a local copy of a published archive whatever its digest is",
    )
    version: int | None = Field(
        None,
        description="change it when the files at `path` have changed and are to be read anew",
    )

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, kind):
        KINDS.signature(kind)
        return kind

    @model_validator(mode="after")
    def _check_place(self):
        keys = {key: getattr(self, key) for key in ("test_fraction", "size", "channels")}
        check_method(KINDS, self.kind, keys, self.options)
        placed = bool(self.path or self.url)
        if placed and not needs_source(self.kind, placed):
            raise ValueError(f"{self.kind} comes with its package, and takes no path or url")
        if self.verify is False and not self.path:
            raise ValueError("verify: false is for a local copy: give its path")
        if self.kind == "image_folder" and not (self.path or self.url):
            raise ValueError("an image_folder needs a path or a url")
        if self.url and self.kind == "image_folder" and not self.sha256:
            raise ValueError("an image_folder with a url needs the archive's sha256")
        return self

    @property
    def has_digest(self) -> bool:
        """Whether a digest, given or published, says what the images are, wherever they lie."""
        if self.sha256 or self.md5:
            return True
        is_archive = self.path is None or self.path.lower().endswith(ARCHIVES)
        return is_archive and is_published(self.kind, self.path, self.verify)


class Model(Settings):
    """A network: ``vgg<depth>`` or ``resnet<depth>`` and its width, or one of your own."""

    architecture: str | None = Field(
        None, description="vgg19, resnet32, ..., or your own file.py:function; default: its name"
    )
    width: Annotated[int, Field(ge=1)] | None = Field(
        None, description="channels of the first stage; VGG 64, ResNet 16 by default"
    )
    initial: Literal["own", "fan_out", "fan_in"] | None = Field(
        None,
        description="initial weights: own: the module's own, the default for your own models; "
        "fan_out, fan_in: Kaiming-normal convolutions by this fan (default: fan_out; su2020's VGG: "
        "fan_in)",
    )
    options: dict[str, Any] | None = Field(
        None,
        description="keyword arguments of your own model's function, or of a built-in network; "
        "VGG: affine (of BatchNorm) and bias (of convolutions), ResNet: bottleneck (blocks)",
    )

    def given(self, architecture: str) -> dict[str, Any]:
        """Options of the network and of its initial weights that differ from the defaults."""
        defaults = MODELS.defaults(architecture)
        initial = None if self.initial == initial_by_default(architecture) else self.initial
        # As written, since 1 is equal to 1.0 and to True.
        options = {
            name: value
            for name, value in (self.options or {}).items()
            if name not in defaults or repr(value) != repr(defaults[name])
        }
        given = {"width": self.width, "initial": initial, "options": options}
        return {name: value for name, value in given.items() if value}


class Experiment(Settings):
    """A full product of its lists. Dense rows have sparsity 0 and no check."""

    datasets: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="default: all of the study's"
    )
    models: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="default: all of the study's"
    )
    tickets: Annotated[list[str], Field(min_length=1)] = Field(description="tickets to train")
    checks: list[str | list[str]] | Literal["all"] = Field(
        ["none"],
        description="sanity checks; `none` is always run beside them; a list in the list, or "
        "`half_dataset+shuffled_weights`, is one check; all: those that apply",
    )
    sparsities: list[Sparsity] = Field(
        [], description="fractions of prunable weights removed; needed for all but dense"
    )
    seeds: Annotated[list[Seed], Field(min_length=1)] | None = Field(
        None,
        description="one run for each, in this order; needed, save with `statistics.looks`: then "
        "they are the same everywhere, as many as the last look has: 0, 1, 2, ... by default",
    )

    @field_validator("checks", mode="before")
    @classmethod
    def _name_the_list(cls, checks):
        # Of a union Pydantic says what each of its types would have been.
        if isinstance(checks, str) and checks != "all":
            raise ValueError(f"give a list, [{checks}], or all")
        return checks

    @field_validator("datasets", "models", "tickets", "checks", "sparsities", "seeds")
    @classmethod
    def _refuse_repeats(cls, values, info: ValidationInfo):
        # A run is made once: a list with repeats promises more seeds or cells than there will be.
        seen = set()
        for value in values if isinstance(values, list) else ():
            told = JOIN.join(value) if isinstance(value, list) else str(value)
            # A combination is one check in whatever order its parts are named.
            one = tuple(sorted(told.split(JOIN)))
            if one in seen:
                what = "sparsity" if info.field_name == "sparsities" else info.field_name[:-1]
                raise ValueError(f"{what} {told} is given twice")
            seen.add(one)
        return values


class When(Settings):
    """Which cells an override changes: those that match every key that is given."""

    dataset: list[str] | str | None = Field(None, description="dataset or datasets")
    model: list[str] | str | None = Field(None, description="model or models")
    ticket: list[str] | str | None = Field(None, description="ticket or tickets")
    pruner: list[str] | str | None = Field(None, description="pruner or pruners")

    def matches(self, **cell: str | None) -> bool:
        """Whether a cell has, for each key given here, one of the named values."""
        return all(
            cell.get(key) in ([value] if isinstance(value, str) else value)
            for key, value in self.model_dump(exclude_none=True).items()
        )


class Override(Settings):
    """Other settings for some cells; later overrides win."""

    when: When = Field(When(), description="which cells; all of them if left out")
    pretraining: TrainingChanges = Field(
        TrainingChanges(), description="for pretraining; `when` names dataset and model"
    )
    retraining: TrainingChanges = Field(
        TrainingChanges(), description="for training tickets; `when` names no pruner"
    )
    pruning_batch: PruningBatchChanges = Field(
        PruningBatchChanges(), description="for scores; `when` names no ticket"
    )
    check_options: dict[str, dict[Literal["scope"], str]] = Field(
        {}, description="scopes of data checks, e.g. corrupted_data: {scope: rows}"
    )
    network: str | None = Field(
        None,
        description="a model of the study that stands in for these cells' own; it is initialised, "
        "pretrained and pruned under its own name",
    )
    rewind_epoch: Annotated[int, Field(ge=0)] | None = Field(None, description="epoch to rewind to")
    rewind_weights_epoch: Annotated[int, Field(ge=0)] | None = Field(
        None, description="epochs trained after which weights are those to rewind to"
    )
    retrain_epochs: Annotated[int, Field(ge=1)] | None = Field(
        None, description="epochs after rewinding"
    )

    @model_validator(mode="after")
    def _check_reach(self):
        changed = self.pretraining.model_fields_set
        if changed and (self.when.ticket or self.when.pruner):
            raise ValueError(
                "pretraining is shared by all tickets of a seed: `when` may only name "
                "dataset and model"
            )
        if (self.pruning_batch.model_fields_set or self.check_options) and self.when.ticket:
            raise ValueError("masks are shared by tickets: use `when: {pruner: ...}`, not ticket")
        of_tickets = ("network", "rewind_epoch", "rewind_weights_epoch", "retrain_epochs")
        if self.when.pruner and (
            self.retraining.model_fields_set
            or any(getattr(self, key) is not None for key in of_tickets)
        ):
            raise ValueError("retraining belongs to tickets: use `when: {ticket: ...}`")
        return self


class Logging(Settings):
    """What is written beside history.csv."""

    tensorboard: bool = Field(False, description="TensorBoard event files, a folder for each run")
