"""From a folder of runs to tidy tables: runs.csv, histories.csv, layers.csv and about.json."""

import hashlib
import io
import json
import os
import shlex
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import SafetensorError, safe_open

from jackpot.analysis.declared import changed
from jackpot.analysis.frames import RUN
from jackpot.checks import CHECKS
from jackpot.data.description import read_description
from jackpot.errors import JackpotError
from jackpot.files.atomic import damaged, read_sealed, write_sealed
from jackpot.files.tables import read_lines, write_table
from jackpot.fingerprints import digest
from jackpot.settings import Pruner, Settings
from jackpot.study import Plan, Study
from jackpot.study.jobs import Job
from jackpot.study.model import Run
from jackpot.study.paths import SNAKEFILE
from jackpot.study.tickets import PRUNERS, applicable_checks

RUN_COLUMNS = [
    "study",
    *RUN,
    "test_accuracy",
    "test_loss",
    "best_test_accuracy",
    "density",
    "collapsed",
    "epochs",
    "seconds",
    "images_per_second",
    "device",
    "precision",
    "effective_density",
]
DECLARED = "declared.json"
OTHERS = ("layers", "versions", "resumes", "started", "ended")
LAYER_COLUMNS = [*RUN, "position", "layer", "total", "kept", "effective"]


def collect(plan: Plan, *, partial: bool = False) -> None:
    """Write the study's tables from the results of its runs.

    Args:
        partial: leave out runs that have no result of today's yet, instead of refusing.

    Raises:
        JackpotError: a result is missing, damaged, or is another run's.
    """
    root = Path(plan.root)
    made = list(zip(plan.progress.runs, plan.results(), strict=True))
    there = [(run, file) for run, file in made if file.is_current()]
    lacking = [file.path for _, file in made if not file.is_current()]
    if lacking and not partial and Path(lacking[0]).exists():
        read_sealed(lacking[0])  # a damaged one is told as such
    if lacking and there and not partial:
        raise JackpotError(
            f"{lacking[0]}: is not there, or not what today's settings and code would make "
            f"({len(lacking)} of {len(made)} results). Start Snakemake, which makes them."
        )
    if not there:
        raise JackpotError(
            f"{root}/runs: no run has a result yet that today's settings and code would make; "
            "there is nothing to report."
        )
    data = data_of(plan, root / DECLARED)
    runs = [run for run, _ in there]
    results = write_results(plan.study.name, runs, root, root, data["test"])
    _keep(root / DECLARED, data=data)
    declared = declare(plan, root / DECLARED)
    made_by = {"run": plan.collected(file for _, file in there), "shown_by": plan.shown_by}
    said = {**about(plan, results, data), "declared": declared}
    write_sealed(root / "about.json", {"fingerprints": made_by, **said})


def declare(plan: Plan, record: Path) -> list[dict[str, Any]]:
    """What the study declared of its statistics whenever results were collected, first to last.

    Error rates hold for what is declared before results are seen: the statistics, the cells that
    Holm corrects over, their seeds, and how they are run, by which code of one's own. What was
    declared otherwise once results were there is kept in ``record``, which no rule makes or
    removes, and told on the page.
    """
    checked = {run.cell for run in plan.study.runs() if run.check != "none"}
    now = {
        **plan.study.statistics.model_dump(mode="json"),
        "seeds": plan.study.seed_order,
        "comparisons": len(checked),
        "runs": len(plan.study.runs()),
        # Which cells and seeds, where their numbers stay; and how each cell is run.
        "cells": digest(plan.design()["planned"]),
        "settings": _settings(plan),
        "own_code": {os.path.relpath(file): code for file, code in plan.own_code().items()},
    }
    known = read_record(record).get("declared", [])
    last = known[-1] if known else {}
    if not known or changed(last, now):
        known.append({**now, "since": datetime.now(UTC).date().isoformat()})
    else:
        # An older record lacks some words.
        known[-1] = {**now, **last}
    _keep(record, declared=known)
    return known


def _settings(plan: Plan) -> dict[str, str]:
    """By cell a digest of all settings behind its first run, back to the dataset.

    Not of code, which a better message would change, nor of where files lie.
    """
    first: dict[str, Job] = {}
    for run in plan.study.runs():
        first.setdefault(str(Path(run.path).parent), plan.job_of(run))
    return {cell: digest(_settings_behind(job)) for cell, job in first.items()}


def _settings_behind(job: Job) -> list:
    """The settings of a job and, by the name of each input, of those before it.

    Which seeds there are is declared by itself, and which epochs are kept decides no training;
    but the seed of a spoiled dataset is a setting.
    """
    left_out = {"snapshots"} if job.rule == "corrupt" else {"snapshots", "seed"}
    settings = {name: value for name, value in job.settings.items() if name not in left_out}
    before = {name: _settings_behind(file.job) for name, file in job.inputs.items()}
    return [job.rule, settings, before]


def remember(record: Path, about: Mapping[str, Any]) -> None:
    """Keep of published results what none of them says: what was declared, and of which data.

    Who declares otherwise from then on does so when results are there.

    Args:
        about: ``about.json`` of the publication.
    """
    declared = read_record(record).get("declared") or about.get("declared", [])
    data = {name: about["provenance"].get(name, {}) for name in ("sources", "test")}
    _keep(record, declared=declared, data=data)


def data_of(plan: Plan, record: Path) -> dict[str, dict[str, Any]]:
    """Each dataset's source, and what its test split is, as far as they are known.

    Of data that is not there, what was known when it was, or told by a publication.
    """
    told = read_record(record).get("data", {})
    found = {"sources": _sources(plan), "test": _test_splits(plan)}
    return {name: {**told.get(name, {}), **known} for name, known in found.items()}


def _keep(record: Path, **words: Any) -> None:
    before = read_record(record)
    if {**before, **words} != before:
        write_sealed(record, {**before, **words})


def read_record(record: Path) -> dict[str, Any]:
    if not record.exists():
        return {}
    try:
        return read_sealed(record)
    except JackpotError as error:
        raise JackpotError(
            f"{record}: damaged, and no rule makes it: it is the only record of what the study "
            "declared when results were first collected. Bring it back from a copy; whoever "
            "deletes it has a page that cannot tell whether anything was declared anew."
        ) from error


def write_results(
    study: str, runs: list[Run], root: Path, out: Path, test: Mapping[str, Mapping[str, float]]
) -> list[dict[str, Any]]:
    """Write the tables of a study's runs whose results are below ``root``; return these results.

    Args:
        test: the test splits of datasets, as far as they are known; see ``_test_splits``.

    Raises:
        JackpotError: a result is missing, damaged, or is another run's.
    """
    # Its name is today's: results stay when a study is renamed.
    results = [
        {**_read_result(run, root / run.path / "metrics.json"), "study": study} for run in runs
    ]
    rows = pd.DataFrame(results)[RUN_COLUMNS]
    for name, kind in (("chance_accuracy", "Float64"), ("test_images", "Int64")):
        known = {dataset: split[name] for dataset, split in test.items()}
        rows[name] = rows["dataset"].map(known).astype(kind)
    write_table(out / "runs.csv", rows)
    write_table(out / "layers.csv", _layers(runs, results))
    write_table(out / "histories.csv", _histories(runs, results, root))
    return results


def _read_result(run: Run, path: Path) -> dict[str, Any]:
    result = read_sealed(path)
    missing = [key for key in (*RUN_COLUMNS, *OTHERS) if key not in result]
    if missing:
        raise damaged(path, f"it lacks {', '.join(missing)}")
    # A dense row is its pretraining's, which calls itself dense, and its network by its own name.
    is_dense = run.sparsity == 0 and result["ticket"] == "dense"
    free = ("ticket", "model") if is_dense else ()
    wrong = [key for key in RUN if key not in free and result[key] != getattr(run, key)]
    if wrong:
        raise damaged(path, f"it is another run's: its {wrong[0]} is {result[wrong[0]]}")
    return {**result, "ticket": run.ticket, "model": run.model}


def _layers(runs: list[Run], results: list[dict[str, Any]]) -> pd.DataFrame:
    rows = [
        [*_names(run), position, *(layer[key] for key in ("name", "total", "kept", "effective"))]
        for run, result in zip(runs, results, strict=True)
        for position, layer in enumerate(result["layers"], 1)
    ]
    return pd.DataFrame(rows, columns=LAYER_COLUMNS)


def _histories(runs: list[Run], results: list[dict[str, Any]], root: Path) -> pd.DataFrame:
    """All histories in one reading: a call of pandas for each takes longer than all else here."""
    texts = []
    for run, result in zip(runs, results, strict=True):
        path = root / run.path / "history.csv"
        text = read_lines(path)
        if hashlib.sha256(text).hexdigest() != result["fingerprints"]["history"]:
            raise damaged(path, "it was altered, or is not of the run in metrics.json beside it")
        texts.append(text.partition(b"\n"))
    header, _, _ = texts[0]
    if other := next((i for i, text in enumerate(texts) if text[0] != header), None):
        raise damaged(root / runs[other].path / "history.csv", "it has other columns than the rest")
    rows = pd.read_csv(io.BytesIO(b"".join([header, b"\n", *(text for _, _, text in texts)])))
    # A run whose pretraining diverged has no epochs.
    epochs = [text.count(b"\n") for _, _, text in texts]
    keys = pd.DataFrame(map(_names, runs), columns=RUN)
    return pd.concat([keys.loc[keys.index.repeat(epochs)].reset_index(drop=True), rows], axis=1)


def _names(run: Run) -> list[Any]:
    return [getattr(run, key) for key in RUN]


def about(
    plan: Plan, results: list[dict[str, Any]], data: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """What the report says of the study: settings, expected runs, versions, hardware, sources.

    ``data`` is what ``data_of`` says. ``command`` runs the study; a path after ``--`` makes it run
    one result.
    """
    study = plan.study
    versions: dict[str, list[str]] = {}
    for key in sorted({key for result in results for key in result["versions"]}):
        versions[key] = sorted({str(result["versions"].get(key, "unknown")) for result in results})
    # Of combinations those that the study has.
    checks = {run.check: study.check_of(run.check) for run in study.runs()}
    days = sorted(result[when][:10] for result in results for when in ("started", "ended"))
    return {
        "study": study.model_dump(mode="json"),
        "expected_runs": [
            {**dict(zip(RUN, _names(run), strict=True)), "path": file.path}
            for run, file in zip(plan.progress.runs, plan.results(), strict=True)
        ],
        "applicable_checks": {
            name: applicable_checks(
                study.all_tickets[name], study.pruner_of(name), {**study.all_checks, **checks}
            )
            for name in sorted({run.ticket for run in study.runs()})
        },
        "command": _command(plan),
        "ingredients": study.own_ingredients,
        "questions": study.own_questions,
        "provenance": {
            "versions": {key: ", ".join(values) for key, values in versions.items()},
            "devices": dict(Counter(result["device"] for result in results)),
            "trained": days[:1] + days[-1:],
            "fingerprints": {"study": plan.study_digest},
            **data,
            "deviations": deviations(study),
        },
    }


def _command(plan: Plan) -> str:
    """What runs the study from the folder that it was run from, as far as it can be told."""
    words = {"study": plan.config.study}
    for name in ("results_dir", "data_dir", "device", "threads"):
        value = getattr(plan.config, name)
        if value != type(plan.config).model_fields[name].default:
            words[name] = value
    # One that is in config.yaml is said once more: without it, it would be another study.
    if plan.config.datasets:
        words["datasets"] = json.dumps(plan.config.datasets)
    command = ["snakemake", "--cores", "all"]
    if not Path(SNAKEFILE.name).exists():
        command += ["--snakefile", str(SNAKEFILE)]
    command += ["--config", *(f"{name}={value}" for name, value in words.items())]
    return shlex.join(command)


def _sources(plan: Plan) -> dict[str, Any]:
    found = {}
    for dataset in sorted({run.dataset for run in plan.study.runs()}):
        path = Path(plan.source(dataset))
        if path.exists():
            record = read_description(path)
            found[dataset] = {key: record[key] for key in ("kind", "digest", "bytes")}
    return found


def _test_splits(plan: Plan) -> dict[str, dict[str, float]]:
    """Of each dataset that is there, how many images test, and what a guess gets right of them.

    That is the share of the most frequent class, in percent.
    """
    found = {}
    for name in sorted({run.dataset for run in plan.study.runs()}):
        path = Path(plan.data(name, "clean"))
        if path.exists():
            try:
                with safe_open(path, framework="np") as file:
                    counts = np.bincount(file.get_tensor("test_labels"))
            except (SafetensorError, OSError) as error:
                raise damaged(path, str(error)) from error
            images = int(counts.sum())
            chance = 100 * int(counts.max()) / images
            found[name] = {"test_images": images, "chance_accuracy": chance}
    return found


def deviations(study: Study) -> list[str]:
    """Every setting of how networks are made, pruned and trained that is not the default.

    Defaults are su2020's, as the paper has them. Widths and the epoch to rewind to have none.
    """
    found = []
    for name, model in study.models.items():
        given = model.given(model.architecture or name)
        given.pop("width", None)
        options = given.pop("options", {})
        found += _differing(f"model {name}", {**given, **options})
    for key in ("training", "pruning_batch"):
        found += _differing(key.replace("_", " "), _changed(getattr(study, key)))
    rewinding = {key: getattr(study, key) for key in ("rewind_weights_epoch", "retrain_epochs")}
    found += _differing("rewinding", {k: v for k, v in rewinding.items() if v is not None})
    for check, options in study.check_options.items():
        usual = study.all_checks[check].scopes[:1]
        if check in CHECKS and usual and options.get("scope", usual[0]) not in usual:
            found += _differing(f"check {check}", options)
    tickets = {run.ticket for run in study.runs()}
    for name in sorted({study.all_tickets[ticket].pruner for ticket in tickets} - {None}):
        pruner = study.all_pruners[name]
        usual = PRUNERS.get(name, Pruner(score=pruner.score))
        found += _differing(f"pruner {name}", _unlike(pruner, usual))
    for override in study.overrides:
        changes = _changed(override)
        when = changes.pop("when", {})
        cells = ", ".join(f"{key} {_text(value)}" for key, value in when.items()) or "all cells"
        found += _differing(f"for {cells}", changes)
    return found


def _unlike(given: Pruner, usual: Pruner) -> dict[str, Any]:
    """What a pruner has otherwise than the usual one; options by their own names."""

    def flat(settings: Pruner) -> dict[str, Any]:
        values = settings.model_dump(mode="json")
        options = [values.pop(name, {}) for name in ("score_options", "allocation_options")]
        return {**values, **options[0], **options[1]}

    mine, theirs = flat(given), flat(usual)
    changed = {k: v for k, v in mine.items() if k not in theirs or v != theirs[k]}
    return changed | {k: "not set" for k in theirs if k not in mine}


def _changed(settings: Settings) -> dict[str, Any]:
    return settings.model_dump(mode="json", exclude_defaults=True)


def _differing(where: str, changes: dict[str, Any]) -> list[str]:
    said = "; ".join(f"{key}: {_text(value)}" for key, value in changes.items())
    return [f"{where}: {said}"] if said else []


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(inner)}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
