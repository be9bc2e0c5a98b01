"""A study's results as a few small files, and back again as finished work.

Weights and masks are left out: a result says by its fingerprint what it was made of, and its
layers' counts and digests are in it.
"""

import lzma
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from jackpot.analysis.design import Design
from jackpot.data.archives import Limits, unpacked
from jackpot.errors import JackpotError
from jackpot.files.atomic import read_sealed, sha256_of_file, write_atomically
from jackpot.files.tables import read_table
from jackpot.fingerprints import differences, recorded
from jackpot.report.findings import published_plan
from jackpot.running.tables import write_tables
from jackpot.stages.collect import DECLARED, remember
from jackpot.stages.draw import draw
from jackpot.stages.report import report
from jackpot.stages.tables import tabulate
from jackpot.study import Plan, Run
from jackpot.study.paths import RESULTS as PARTS
from jackpot.study.stale import REASONS
from jackpot.vocabulary import SOURCE_OF_FIGURE

RESULTS = "results.tar.xz"
# What ``bring_back`` says of results that are now there.
TAKEN = (NEW, OLD) = ("brought back", "were there already")
# What else is published, made anew from the results but for about.json: what one wants to read at
# once. All else is made when it is wanted (``redraw``).
PICTURES = ("verdicts", "sanity_checks", "tickets")
TABLES = ("runs.csv", "verdicts.csv", "tables/*.md")
BESIDE = ("about.json", *TABLES, *(f"figures/{name}.png" for name in PICTURES))
# A study of a hundred thousand runs of the papers' length.
LIMITS = Limits(members=1_000_000, total_bytes=8 * 2**30, member_bytes=64 * 2**20)


def publish(plan: Plan, folder: str | Path) -> int:
    """Write a study's results, and verdicts, tables and pictures made of them, to a folder.

    A study that is not finished can be published too: what has been trained is kept, and goes on
    elsewhere. Where nothing has been collected that is the archive alone.

    Returns:
        How many results the archive holds, which are all those that are today's.

    Raises:
        JackpotError: there is none, what was collected is of other results or settings, or the
            folder holds a study's own results.
    """
    root, folder = Path(plan.root), Path(folder)
    if (folder / "runs").exists():
        raise JackpotError(
            f"{folder}: a study's own results are there, and publishing replaces what is in its "
            "folder. Give another one with --to."
        )
    runs = [run for run in plan.study.runs() if plan.job_of(run).is_current()]
    if not runs:
        raise JackpotError(
            f"{root}/runs: no result is there that today's settings and code would make; "
            "stale.py says why."
        )
    about = root / "about.json"
    collected = [run for run in plan.progress.runs if plan.job_of(run).is_current()]
    made_of = plan.collected(file for file in plan.results() if file.is_current())
    if about.exists() and recorded(str(about)) != made_of:
        raise JackpotError(
            f"{about}: not made of the results and settings that are there now. Call Snakemake "
            "first; with --config partial=true it reports on a study that is not finished."
        )
    names = [f"{run.path}/{part}" for part in PARTS for run in runs]
    with tempfile.TemporaryDirectory() as scratch:
        if about.exists():
            _make(plan, collected, root, Path(scratch), PICTURES, about)
            shutil.copyfile(about, Path(scratch, about.name))
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / RESULTS, lambda path: _pack(path, root, names))
        for pattern in BESIDE:
            # An earlier publication's files are of another time.
            for old in folder.glob(pattern):
                old.unlink()
            for file in Path(scratch).glob(pattern):
                copy = folder / file.relative_to(scratch)
                copy.parent.mkdir(exist_ok=True)
                shutil.copyfile(file, copy)
    return len(runs)


def _make(
    plan: Plan, runs: list[Run], results: Path, out: Path, figures: Iterable[str], about: Path
) -> tuple[dict[str, Path], list[Path], list[Path]]:
    """Tables, figures and tables for reading, all anew from results: the paths of each."""
    tables = write_tables(plan, runs, results, out, about)
    drawn = []
    for name in figures:
        table, stem = tables[SOURCE_OF_FIGURE[name]], out / "figures" / name
        drawn += draw(name, table, stem, plan.study.own_ingredients)
    return tables, drawn, tabulate(tables["runs"], out / "tables", Design(**plan.design()))


def _pack(path: Path, root: Path, names: list[str]) -> None:
    """The same bytes for the same results: no owner, no time."""
    # With the largest dictionary, as results of one study are much alike.
    with tarfile.open(path, "w:xz", preset=9 | lzma.PRESET_EXTREME) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = (root / name).stat().st_size
            with open(root / name, "rb") as file:
                archive.addfile(member, file)


def bring_back(plan: Plan, folder: str | Path) -> Counter[str]:
    """Put published results where the study has its own, if today's settings and code would make
    them; Snakemake then goes on from there.

    Args:
        folder: where ``publish`` wrote to.

    Returns:
        How many results were taken, by the words of ``TAKEN``, and were left out, by the reason.

    Raises:
        JackpotError: the archive is missing or damaged, or a result in it was altered. What was
            brought back before stays.
    """
    archive = Path(folder) / RESULTS
    if not archive.is_file():
        raise JackpotError(f"{archive}: no such file. publish.py writes it.")
    outcome: Counter[str] = Counter()
    with unpacked(archive, LIMITS) as there:
        found = {path.parent for path in there.rglob(PARTS[0])}
        for run in plan.study.runs():
            source, job = there / run.path, plan.job_of(run)
            if source not in found:
                continue
            found.remove(source)
            if job.is_current():
                outcome[OLD] += 1
                continue
            metrics, history = (source / part for part in PARTS)
            made = read_sealed(metrics)["fingerprints"]
            if sha256_of_file(history) != made["history"]:
                raise JackpotError(f"{archive}: {run.path}/{PARTS[1]} was altered.")
            if made["run"] != job.fingerprint:
                reasons = differences(made["run"], job.fingerprint)
                outcome["; ".join(REASONS[reason] for reason in reasons)] += 1
                continue
            # What lies there of another training goes with it.
            there_now = Path(plan.root) / run.path
            if recorded(str(there_now / "weights.safetensors")) != job.fingerprint:
                (there_now / "weights.safetensors").unlink(missing_ok=True)
                shutil.rmtree(there_now / "tensorboard", ignore_errors=True)
            # metrics.json, which says that all is there, comes last.
            for file in (history, metrics):
                restored = there_now / file.name
                write_atomically(restored, lambda path, file=file: shutil.copyfile(file, path))
            outcome[NEW] += 1
    if found:
        outcome["not part of the study"] += len(found)
    about = Path(folder, "about.json")
    if outcome[NEW] and about.exists():
        remember(Path(plan.root, DECLARED), read_sealed(about))
    return outcome


def redraw(folder: str | Path, out: str | Path) -> list[str]:
    """Make every table, figure and the page of a published study anew from its results.

    The study is what it was when it was published, whatever its YAML file says today.

    Returns:
        The published tables that came out otherwise, or are not made any more.

    Raises:
        JackpotError: the archive lacks a run of ``runs.csv``, a result was altered, or a
            publication is where the new files are to go.
    """
    folder, out = Path(folder), Path(out)
    if (out / RESULTS).exists():
        raise JackpotError(f"{out}: a publication is there, and would be overwritten. Give --out.")
    plan = published_plan(folder)
    cells = read_table(folder / "runs.csv")[[field.name for field in fields(Run)]]
    runs = [Run(*row) for row in cells.itertuples(index=False, name=None)]
    out.mkdir(parents=True, exist_ok=True)
    with unpacked(folder / RESULTS, LIMITS) as there:
        tables, figures, texts = _make(
            plan, runs, there, out, SOURCE_OF_FIGURE, folder / "about.json"
        )
    report(
        out / "report.html",
        **{name: tables[name] for name in ("runs", "verdicts", "layers")},
        about=folder / "about.json",
        figures=figures,
        tables=texts,
        design=Design(**plan.design()),
    )
    there = sorted(path.name for path in folder.glob("tables/*.md"))
    published = ["runs.csv", "verdicts.csv", *(f"tables/{name}" for name in there)]
    # What else lies in `out` is of an earlier call.
    made = {*tables.values(), *texts}
    return [
        name
        for name in published
        if out / name not in made or (folder / name).read_bytes() != (out / name).read_bytes()
    ]
