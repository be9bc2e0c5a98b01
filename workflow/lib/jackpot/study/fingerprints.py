"""What decides a result, as hashes: settings, the stage's own code, and what it is made from.

Each fingerprint contains those of its inputs, so today's fingerprint of a run can be told from
the study and the source alone. It is stored in the file that the stage makes; where the stored one
differs, other settings or other code made that file. Snakemake is given it as a parameter.
"""

import ast
import hashlib
import json
import os
import struct
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jackpot
from jackpot.study.model import Run, Study
from jackpot.study.tickets import check_of_data, score_source

PACKAGE = Path(jackpot.__file__).parent
# Plumbing that moves or checks values; what it carries is in the fingerprint itself.
PLUMBING = ("jackpot.errors", "jackpot.settings", "jackpot.storage", "jackpot.study")


# A fingerprint is three hashes, so that where two differ, they say what of.
KINDS = ("code", "settings", "inputs")
_CODE = ("code", "score", "allocation")
_INPUTS = ("clean", "data", "weights", "mask")


def differences(one: str, other: str) -> list[str]:
    """Which of ``KINDS`` tell two fingerprints apart; all of them where that cannot be told."""
    parts = [one.split("-"), other.split("-")]
    if any(len(part) != len(KINDS) for part in parts):
        return [] if one == other else list(KINDS)
    return [kind for kind, a, b in zip(KINDS, *parts, strict=True) if a != b]


def _fingerprint(values: dict[str, Any]) -> str:
    kinds = {kind: {} for kind in KINDS}
    for name, value in values.items():
        kind = "code" if name in _CODE else "inputs" if name in _INPUTS else "settings"
        kinds[kind][name] = value
    return "-".join(digest(part)[:12] for part in kinds.values())


def digest(value: Any) -> str:
    """Short SHA-256 of a JSON value; keys are sorted."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@cache
def code_of(*modules: str) -> str:
    """Fingerprint of modules and all that they import of jackpot.

    Comments, docstrings and layout do not count: mending one must not retrain a study.
    """
    found: dict[str, str] = {}
    queue = list(modules)
    while queue:
        name = queue.pop()
        path = _path_of(name)
        if name in found or path is None or name in PLUMBING or _is_study(name):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        queue += _imports(tree)
        found[name] = _bare(tree)
    return digest(found)


def _is_study(name: str) -> bool:
    return name.startswith("jackpot.study.")


def _path_of(name: str) -> Path | None:
    relative = Path(*name.split(".")[1:])
    for path in (PACKAGE / relative.with_suffix(".py"), PACKAGE / relative / "__init__.py"):
        if relative.name and path.is_file():
            return path
    return None


def _imports(tree: ast.Module) -> list[str]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jackpot."):
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.startswith("jackpot.")]
    return names


def _bare(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if body and isinstance(node, _DOCUMENTED):
            first = body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = body[1:] or [ast.Pass()]
    return ast.dump(tree)


_DOCUMENTED = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Fingerprints:
    """Today's fingerprints of everything a study makes."""

    def __init__(self, study: Study):
        self.study = study
        self._memory: dict[tuple, str] = {}

    def _once(self, key: tuple, make) -> str:
        if key not in self._memory:
            self._memory[key] = _fingerprint(make())
        return self._memory[key]

    def data(self, dataset: str, data: str) -> str:
        """Of ``data/<dataset>/<data>.safetensors``."""

        def make():
            definition = self.study.datasets[dataset]
            values = definition.model_dump(exclude={"path", "url"})
            if not (definition.sha256 or definition.md5):
                values["place"] = [definition.path, definition.url]
            made = {"definition": values, "code": code_of(f"jackpot.data.kinds.{definition.kind}")}
            if data == "clean":
                return made
            check = check_of_data(data)
            return {
                "clean": self.data(dataset, "clean"),
                "check": check,
                "options": self.study.options_of_data(data),
                "seed": self.study.data_seed,
                "code": code_of("jackpot.data.corrupt"),
            }

        return self._once(("data", dataset, data), make)

    def initial(self, dataset: str, model: str, seed: int) -> str:
        """Of ``init.safetensors``."""
        spec = self.study.models[model]
        return self._once(
            ("initial", dataset, model, seed),
            lambda: {
                "data": self.data(dataset, "clean"),
                "architecture": spec.architecture or model,
                "width": spec.width,
                "seed": seed,
                "code": code_of("jackpot.models.initial"),
            },
        )

    def pretrained(self, dataset: str, model: str, seed: int, data: str) -> str:
        """Of ``trained.safetensors`` and ``epoch<k>.safetensors``."""
        return self._once(
            ("pretrained", dataset, model, seed, data),
            lambda: {
                "weights": self.initial(dataset, model, seed),
                "data": self.data(dataset, data),
                "settings": self.study.pretraining_of(dataset, model).model_dump(),
                "snapshots": self.study.rewind_epochs,
                "code": code_of("jackpot.training.pretrain"),
            },
        )

    def masks(self, dataset: str, model: str, pruner: str, data: str, seed: int) -> str:
        """Of the masks of one pruner, at any sparsity."""

        def make():
            settings = self.study.all_pruners[pruner]
            trained = settings.weights == "trained"
            weights = (
                self.pretrained(dataset, model, seed, data)
                if trained
                else self.initial(dataset, model, seed)
            )
            made = {
                # Left out where it says nothing, so that masks made before it existed stay.
                "pruner": settings.model_dump(
                    exclude={"iterations"} if settings.iterations == 1 else None
                ),
                "batch": self.study.pruning_batch_of(dataset, model, pruner).model_dump(),
                "data": self.data(dataset, data),
                "weights": weights,
                "seed": seed,
                "code": code_of("jackpot.pruning.stage"),
                "score": _code_of_score(settings.score),
                "allocation": _code_of_allocation(settings.allocation),
            }
            if settings.iterations > 1:
                made["code"] = code_of("jackpot.pruning.iterative")
            return made

        return self._once(("masks", dataset, model, pruner, data, seed), make)

    def run(self, run: Run) -> str:
        """Of one run's results; a dense run is its pretraining."""
        if self.study.pruner_of(run.ticket) is None:
            return self.pretrained(run.dataset, run.model, run.seed, "clean")
        return self._once(("run", run), lambda: self._run(run))

    def _run(self, run: Run) -> dict[str, Any]:
        study, cell = self.study, (run.dataset, run.model, run.ticket)
        ticket = study.all_tickets[run.ticket]
        data = study.data_of(run.dataset, run.model, ticket.pruner, run.check)
        weights = (
            self.initial(run.dataset, run.model, run.seed)
            if ticket.weights == "initial"
            else self.pretrained(run.dataset, run.model, run.seed, data)
        )
        return {
            "mask": self.masks(run.dataset, run.model, ticket.pruner, data, run.seed),
            "sparsity": run.sparsity,
            "weights": weights,
            "ticket": ticket.model_dump(),
            "data": self.data(run.dataset, "clean"),
            "check": run.check,
            "options": study.check_options.get(run.check, {}),
            "settings": study.retraining_of(*cell).model_dump(),
            "epochs": study.retrain_epochs_of(*cell),
            "rewind": study.rewind_epoch_of(*cell),
            "code": code_of("jackpot.training.retrain"),
        }

    @cached_property
    def study_digest(self) -> str:
        """Of the whole study, every setting resolved."""
        return digest(self.study.model_dump())


@cache
def _code_of_score(score: str) -> str:
    path, _ = score_source(score)
    if ":" not in score:
        return code_of(f"jackpot.pruning.scores.{score}")
    return digest(_bare(ast.parse(path.read_text(encoding="utf-8"))))


def _code_of_allocation(allocation: str) -> str:
    if allocation == "global":
        return "global"
    return code_of(f"jackpot.pruning.allocation.{allocation}")


@cache
def recorded(path: str) -> str | None:
    """The fingerprint stored in a weights, mask, data or metrics file; None if there is none."""
    try:
        if path.endswith(".json"):
            with open(path, encoding="utf-8") as file:
                return json.load(file)["fingerprints"]["run"]
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > os.path.getsize(path):
                return None
            header = json.loads(file.read(length))
        return json.loads(header["__metadata__"]["metadata"])["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None
