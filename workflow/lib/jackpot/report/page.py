"""The report page: one HTML file that holds everything and asks the network for nothing."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import pandas as pd

from jackpot.analysis import statistics
from jackpot.analysis.chance import guessing
from jackpot.analysis.claims import ClaimResult
from jackpot.analysis.design import Design
from jackpot.analysis.frames import CELL, percent, prepare_runs
from jackpot.errors import JackpotError
from jackpot.files.atomic import write_text
from jackpot.report import evidence
from jackpot.report.answer import summary
from jackpot.report.claims import claim_entries
from jackpot.report.doubts import doubts
from jackpot.report.grid import grids, needs, questions, recipes
from jackpot.report.looks import looks_section
from jackpot.report.words import seeds_text, word_for
from jackpot.vocabulary import SOURCE_OF_FIGURE, VERDICTS, in_order

TEMPLATES = Path(__file__).with_name("templates")
# A drawing with very many points is smaller as a picture of pixels.
_LARGE_SVG = 1_000_000
_FIGURE_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}
# The page opens on this one.
_OPENING = "verdicts"
# Above this many checked cells the grid opens the page, and the picture follows.
_READABLE_ROWS = 100
_TABLE_TYPES = {".csv": "text/csv", ".md": "text/markdown", ".tex": "application/x-tex"}
# Above this many rows a table of runs starts folded, so that the page stays quick to read.
_OPEN_ROWS = 300


def write_report(
    out_html: str | Path,
    *,
    runs: pd.DataFrame,
    verdicts: pd.DataFrame | None = None,
    claims: Sequence[ClaimResult] = (),
    layers: pd.DataFrame | None = None,
    about: Mapping | None = None,
    figures: Sequence[str | Path] = (),
    tables: Sequence[str | Path] = (),
    reported: pd.DataFrame | None = None,
    design: Design | None = None,
) -> Path:
    """Write the report of a study as one self-contained HTML file.

    Args:
        out_html: the file to write.
        runs: rows of ``runs.csv`` (accuracies in percent, NaN for a run that diverged).
        verdicts: rows of ``verdicts.csv``.
        claims: what ``evaluate_claims`` found.
        layers: kept and total weights of every layer of every run.
        about: ``study``, ``expected_runs``, ``applicable_checks``, ``command`` and
            ``provenance``; see ``jackpot.stages.collect``.
        figures: the files of the figures; of each, the SVG goes into the page, or the PNG where
            that is too large.
        tables: files that can be taken from the page; see ``write_tables``.
        reported: accuracies that others reported, shown beside ours.
        design: what the study declared; that of ``Design()`` unless given.

    Returns:
        ``out_html`` as a path.

    Raises:
        JackpotError: a column is missing, a figure cannot be read, or the page not written.
    """
    runs = prepare_runs(runs)
    about = about or {}
    design = design or Design()
    page = _page(runs, verdicts, claims, layers, about, reported, design)
    drawn = _figures(figures, runs)
    page["opening"] = [figure for figure in drawn if figure["id"] == f"figure-{_OPENING}"]
    page["figures"] = [figure for figure in drawn if figure not in page["opening"]]
    page["downloads"] = _downloads(tables)
    write_text(out_html, _environment().get_template("page.html.j2").render(page))
    return Path(out_html)


def _environment() -> jinja2.Environment:
    if not (TEMPLATES / "page.html.j2").exists():
        raise JackpotError(
            f"{TEMPLATES}: the page's template is not there. "
            "Install jackpot from a full checkout: pip install -e . in its root."
        )
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(runs, verdicts, claims, layers, about, reported, design) -> dict:
    """Everything the template shows, but for the files."""
    study = about.get("study") or {}
    provenance = about.get("provenance") or {}
    applicable = about.get("applicable_checks")
    command = about.get("command") or "snakemake --cores all"
    verdicts = _with_details(verdicts, runs, design)
    guesses = guessing(runs)
    entries = claim_entries(claims, verdicts, guesses)
    for entry in entries:
        entry["table"] = evidence.claim_rows(entry)
    missing = evidence.missing_runs(runs, about.get("expected_runs"))
    lost = runs[runs["collapsed"] | runs["diverged"]]
    has_layers = layers is not None and len(layers) > 0
    looks = (
        None
        if verdicts is None
        else looks_section(runs, verdicts, design, len(about.get("declared") or []) < 2)
    )
    going_on = looks is not None and looks["going_on"]
    return {
        "name": study.get("name") or next(iter(runs["study"].unique()), "") or "study",
        "description": study.get("description") or "",
        "n_runs": len(runs),
        "n_expected": len(about.get("expected_runs") or []),
        "summary": summary(runs, verdicts, entries, len(missing), going_on),
        "warnings": doubts(runs, about, layers if has_layers else None),
        "days": " to ".join(dict.fromkeys(provenance.get("trained") or [])),
        "looks": looks,
        "claims": [entry for entry in entries if entry["verdict"] != "not_tested"],
        "untested": [
            (what, untested)
            for what, there in (("has not tested yet", True), ("cannot test", False))
            if (
                untested := [
                    entry
                    for entry in entries
                    if entry["verdict"] == "not_tested" and bool(entry["rows"]) == there
                ]
            )
        ],
        "needs": None if verdicts is None else needs(verdicts, applicable, guesses),
        "against_random": evidence.against_random(runs, design),
        "grids": [] if verdicts is None else grids(verdicts, applicable, guesses),
        "questions": [] if verdicts is None else questions(verdicts, about.get("questions")),
        "verdict_words": {}
        if verdicts is None
        else {word: word_for(word) for word in in_order(verdicts["verdict"], VERDICTS)},
        "n_comparisons": 0 if verdicts is None else len(verdicts),
        "many_cells": verdicts is not None and len(verdicts) > _READABLE_ROWS,
        "hidden": None if verdicts is None else evidence.hidden_collapses(verdicts),
        "several_looks": len(design.shares) > 1,
        "recipes": recipes(runs, study),
        "scale": _scale(runs, layers) if has_layers else "",
        "margin": design.margin,
        "alpha": design.alpha,
        "families": evidence.family_tables(runs, reported),
        "has_reported": reported is not None,
        "verdict_table": None if verdicts is None else evidence.verdict_numbers(verdicts, design),
        "run_table": evidence.run_table(runs, "runs", "Every run: what each seed gave"),
        "open_runs": len(runs) <= _OPEN_ROWS,
        "lost_table": evidence.run_table(lost, "lost", "Runs that collapsed or diverged")
        if len(lost)
        else None,
        "layer_tables": evidence.layer_tables(layers) if has_layers else [],
        "n_missing": len(missing),
        "command": command,
        "coverage": evidence.coverage_table(missing, f"{command} --") if missing else None,
        "deviations": list(provenance.get("deviations") or []),
        "hardware": evidence.hardware_table(runs),
        "devices": [str(device) for device in provenance.get("devices") or []],
        "lists": {
            title: evidence.named_values(provenance.get(key) or {}) for title, key in _LISTS.items()
        },
        "settings": evidence.named_values(study),
    }


_LISTS = {
    "Versions": "versions",
    "Where the data came from": "sources",
    "Fingerprint of the study": "fingerprints",
}


def _with_details(verdicts, runs, design) -> pd.DataFrame | None:
    """The verdicts, with their spread, forecasts and collapses, and ``small``: which are changes
    beyond doubt, and unaffected all the same, being smaller than the margin."""
    if verdicts is None or verdicts.empty:
        return None
    verdicts = verdicts.assign(sparsity=verdicts["sparsity"].round(9))
    details = statistics.details(runs, design)
    real = verdicts["p_difference_holm"] <= design.alpha
    return verdicts.merge(details, "left", CELL).assign(
        small=(real & (verdicts["verdict"] == "unaffected")).to_numpy()
    )


def _scale(runs: pd.DataFrame, layers: pd.DataFrame) -> str:
    """How large the networks are, and how long they were trained where that is known."""
    network = ["dataset", "model"]
    weights = layers.drop_duplicates([*network, "layer"]).groupby(network)["total"].sum()
    text = f"networks of {_ends(weights)} prunable weights"
    epochs = runs.groupby(network)["epochs"].max().dropna()
    return f"{text}, trained for {_ends(epochs)} epochs" if len(epochs) else text


def _ends(values: pd.Series) -> str:
    """``"4"``, or ``"4 to 160"``."""
    return " to ".join(dict.fromkeys(f"{int(end):,}" for end in (values.min(), values.max())))


def _figures(paths: Sequence[str | Path], runs: pd.DataFrame) -> list[dict]:
    """One entry a figure: its SVG (or PNG) as a data URI, alternative text and caption."""
    best: dict[str, Path] = {}
    for path in map(Path, paths):
        if path.suffix in _FIGURE_TYPES:
            best[path.stem] = _better(best.get(path.stem, path), path)
    order = in_order(best, SOURCE_OF_FIGURE)
    return [_figure(best[stem], runs) for stem in order]


def _better(one: Path, other: Path) -> Path:
    """Of two files of one figure the SVG, unless it is too large to carry."""
    svg, png = sorted((one, other), key=lambda path: path.suffix == ".png")
    too_large = svg.suffix == ".svg" and svg.exists() and svg.stat().st_size > _LARGE_SVG
    return png if too_large else svg


def _figure(path: Path, runs: pd.DataFrame) -> dict:
    title = path.stem.replace("_", " ").capitalize()
    caption = _caption(path.stem)
    shown = _shown(path.stem, runs)
    hardware = {
        ", ".join(filter(None, names))
        for names in zip(runs["device"], runs["precision"], strict=True)
    }
    trained = f"Trained on: {'; '.join(sorted(filter(None, hardware))) or 'not recorded'}."
    models = ", ".join(
        f"{dataset} · {model}"
        for dataset, model in sorted(set(zip(shown["dataset"], shown["model"], strict=True)))
    )
    sparsities = ", ".join(percent(s) for s in sorted(set(shown["sparsity"]) - {0.0}))
    return {
        "id": f"figure-{path.stem.replace('_', '-')}",
        "title": title,
        "uri": _data_uri(path, _FIGURE_TYPES[path.suffix]),
        # The caption is read to everyone, so it does not stand here again.
        "alt": f"{title}, for {models}; sparsities {sparsities or 'none'}. "
        "The numbers are in the tables of this page.",
        "caption": " ".join(filter(None, (caption, f"It shows {seeds_text(shown)}.", trained))),
    }


def _shown(stem: str, runs: pd.DataFrame) -> pd.DataFrame:
    """The runs whose seeds a figure shows."""
    pruned = runs[runs["ticket"] != "dense"]
    spoiled = pruned[pruned["check"] != "none"]
    unspoiled = pruned[pruned["check"] == "none"]
    wanted = {"verdicts": spoiled, "tickets": unspoiled}.get(stem, pruned)
    return next((part for part in (wanted, pruned) if len(part)), runs)


def _caption(stem: str) -> str:
    """What a figure shows and how its spread is drawn: its caption file, which is the one that
    Snakemake's own report shows."""
    path = TEMPLATES / f"{stem}.rst"
    return " ".join(path.read_text(encoding="utf-8").split()) if path.exists() else ""


def _downloads(tables: Sequence[str | Path]) -> list[dict]:
    """The files of the tables, each as a link that holds its contents."""
    paths = sorted(map(Path, tables))
    return [
        {"name": path.name, "uri": _data_uri(path, _TABLE_TYPES[path.suffix])} for path in paths
    ]


def _data_uri(path: Path, kind: str) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise JackpotError(
            f"{path}: cannot be read ({error.strerror}). Ask Snakemake for it by this path."
        ) from error
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
