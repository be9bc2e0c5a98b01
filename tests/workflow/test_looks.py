"""A study that goes from look to look by itself, through the real Snakemake."""

import json
import re
import shutil

import pandas as pd
import pytest

from jackpot.analysis.claims import going_on
from jackpot.analysis.design import Design
from jackpot.study import Plan, load_config, load_study
from tests.support import ROOT
from tests.support.processes import wait_for
from tests.support.snake import Clone, kill_all

pytestmark = pytest.mark.workflow

LOOKS = [2, 3, 4]
STUDY = {
    "experiments": [{"tickets": ["snip"], "checks": ["rearranged"], "sparsities": [0.5, 0.8]}],
    # With two seeds nothing is decided at this level; with three, what differs little is.
    "statistics": {"margin": 60, "alpha": 0.002, "looks": LOOKS},
    "training": {"epochs": 3, "crop_padding": 1, "flip": False},
}
CELL = ["dataset", "model", "ticket", "check", "sparsity"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One call, from nothing to the last look."""
    clone = Clone(tmp_path_factory.mktemp("looks"), study=STUDY)
    clone.scratch = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(clone.scratch))
        patch.setenv("XDG_CACHE_HOME", str(clone.scratch / "cache"))
        clone.said = clone.make("report.html", cores=2)
    return clone


def plan_of(clone):
    path = str(clone.folder / "study.yaml")
    config = load_config({"study": path, "results_dir": str(clone.results)}, "the test")
    return Plan(load_study(path), config)


def looks_of(clone):
    return [json.loads(p.read_text()) for p in sorted((clone.root / "looks").iterdir())]


def test_one_call_makes_every_look(finished):
    """Each cell has the seeds that an independent replay of the looks gives it."""
    runs, plan = pd.read_csv(finished.root / "runs.csv"), plan_of(finished)
    design, n = (
        Design(**plan.design()),
        dict.fromkeys({r.cell for r in plan.study.runs()}, LOOKS[0]),
    )
    made = looks_of(finished)
    for look, file in enumerate(made, 1):
        counted = [row.seed < n[tuple(row[name] for name in CELL)] for _, row in runs.iterrows()]
        more = going_on(runs[counted], design) if look < len(LOOKS) else set()
        assert file["look"] == look
        assert {tuple(cell) for cell in file["going_on"]} == more
        if look < len(LOOKS):
            n |= dict.fromkeys(more, LOOKS[look])
    assert not made[-1]["going_on"], "it went on to the end"
    assert runs.groupby(CELL).size().to_dict() == n
    assert len(made) > 1, "two seeds cannot decide at this level"
    cells = len({r.cell for r in plan.study.runs() if r.check != "none"})
    said = f": look 1 of 3, 2 seeds a cell; {cells} of {cells} checked cells are open"
    assert finished.said.count(said) == 1


def test_the_page_tells_of_the_looks(finished):
    assert "Looks" in (finished.root / "report.html").read_text()
    table = pd.read_csv(finished.root / "verdicts.csv")
    assert set(table["looks"]) == {3} and table["look"].max() == len(looks_of(finished))


def test_a_call_that_starts_the_next_one_clears_up_first(finished):
    """Snakemake has a folder in each of these two while it runs."""
    assert not list(finished.scratch.glob("snakemake*"))
    cache = finished.scratch / "cache/snakemake/snakemake/source-cache/snakemake-runtime-cache"
    assert not list(cache.iterdir())


def test_nothing_is_left_to_do(finished):
    before = finished.digests()
    status, text = finished.snakemake("report.html")
    assert status == 0 and "Nothing to be done" in text
    assert finished.digests() == before


def test_a_lost_look_is_made_again(finished):
    """The same decision, and no training."""
    before = finished.digests()
    lost = next((finished.root / "looks").glob("look1-*"))
    lost.unlink()
    said = finished.make("report.html")
    assert finished.digests() == before
    assert "Job" in said and not re.search(r"^Job \d+: (retrain|prune|pretrain)", said, re.M)


def test_a_look_that_is_asked_for_by_its_path_is_all_that_is_made(finished, tmp_path):
    clone = Clone(tmp_path / "clone", study=STUDY)
    shutil.copytree(finished.root, clone.root)
    shutil.rmtree(clone.root / "looks")
    look = plan_of(clone).look_now()
    clone.make(look)
    assert [str(path) for path in (clone.root / "looks").iterdir()] == [look]


def test_a_dry_run_lists_the_next_look(finished, tmp_path):
    """Another margin is another design: its first look has all its runs and decides anew."""
    study = {**STUDY, "statistics": {**STUDY["statistics"], "margin": 61}}
    other = Clone(tmp_path / "other", study=study, results=finished.results)
    said = other.make("report.html", options=["-n"])
    assert "look 1 of 3, 2 seeds a cell" in said and "Later looks can ask for 8 more runs" in said
    assert not re.search(r"^Job \d+: (retrain|prune|pretrain)", said, re.M), "all runs are there"


@pytest.fixture
def behind(finished, tmp_path):
    """A copy in which the first look is all that there is."""
    clone = Clone(tmp_path / "behind", study=STUDY)
    shutil.copytree(finished.root, clone.root)
    for path in [*clone.root.glob("looks/look[23]-*"), *clone.root.rglob("seed[23]")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return clone


def test_a_dry_run_lists_the_runs_of_an_open_look_and_no_others(behind):
    wanted = {tuple(cell) for cell in looks_of(behind)[0]["going_on"]}
    there = sorted(behind.root.rglob("*"))
    said = behind.make("report.html", options=["-n"])
    assert sorted(behind.root.rglob("*")) == there
    form = re.compile(
        r"^Job \d+: (?:retrain (\w+)(?: \((\w+)\))? at sparsity ([\d.]+)|dense): "
        r"(\w+) on (\w+), seed (\d+)",
        re.M,
    )
    listed = [
        ((dataset, model, ticket, check or "none", float(sparsity)), int(seed))
        for ticket, check, sparsity, model, dataset, seed in form.findall(said)
    ]
    assert sorted(listed) == sorted((cell, LOOKS[0]) for cell in wanted) and len(listed) > 1
    checked = sum(cell[3] != "none" for cell in wanted)
    assert f"look 2 of 3, 3 seeds a cell; {checked} of 2 checked cells are open" in said
    assert f"can ask for {len(wanted)} more runs at most" in said


def test_a_study_that_is_killed_between_and_amid_looks_ends_as_one_that_was_not(finished, tmp_path):
    clone = Clone(tmp_path, study=STUDY)

    def of_third_seed():
        return list(clone.root.glob("runs/**/seed2/metrics.json"))

    for moment in (lambda: list(clone.root.glob("looks/look1-*")), of_third_seed):
        process = clone.start("report.html", cores=2)
        wait_for(moment, "it did not come so far")
        kill_all(process)
    assert not list(clone.root.glob("looks/look3-*"))
    clone.make("report.html", cores=2)

    def results(made):
        return {
            run.relative_to(made.root): run.read_bytes() for run in made.root.glob("looks/*")
        } | {
            run.parent.relative_to(made.root): json.loads(run.read_text())["weights_sha256"]
            for run in made.root.glob("runs/**/metrics.json")
        }

    assert results(clone) == results(finished) and len(results(clone)) > 10


def test_a_look_of_other_results_is_none_and_an_altered_one_is_told(behind):
    (look,) = (behind.root / "looks").iterdir()
    text = look.read_text()
    look.write_text(text.replace('"rearranged"', '"none"', 1))
    status, said = behind.snakemake("report.html", options=["-n"])
    assert status == 1 and look.name in said and "Traceback" not in said
    look.write_text(text)
    # The file of another study, design or code has another name, and decides nothing here.
    look.rename(look.with_name("look1-0123456789ab.json"))
    said = behind.make("report.html", options=["-n"])
    assert "look 1 of 3" in said and not re.search(r"^Job \d+: retrain", said, re.M)


def test_an_edited_score_opens_its_own_cells_and_leaves_the_others_words_alone(tmp_path):
    checked = {"checks": ["rearranged"], "sparsities": [0.8]}
    clone = Clone(
        tmp_path,
        study={
            **STUDY,
            "pruners": {"mine": {"score": "mine.py:score"}},
            "tickets": {"mine": {"pruner": "mine"}},
            "experiments": [{"tickets": ["snip", "mine"], **checked}],
            "statistics": {**STUDY["statistics"], "looks": [2, 3]},
        },
    )
    score = "def score(model, data, generator):\n    from jackpot.models import prunable\n"
    score += "    return {n: w.detach().abs() for n, w in prunable(model).items()}\n"
    (tmp_path / "mine.py").write_text(score)
    clone.make("report.html", cores=2)
    before = pd.read_csv(clone.root / "verdicts.csv").set_index("ticket")
    kept = {p: p.stat().st_mtime_ns for p in clone.root.glob("runs/**/snip/**/metrics.json")}
    (tmp_path / "mine.py").write_text(score.replace("w.detach().abs()", "-w.detach().abs()"))
    said = clone.make("report.html", cores=2)
    trained = re.findall(r"^\[.*\] Job \d+: (?:retrain|prune) .*", said, re.M)
    assert trained and all("mine" in line for line in trained)
    assert kept and {p: p.stat().st_mtime_ns for p in kept} == kept
    after = pd.read_csv(clone.root / "verdicts.csv").set_index("ticket")
    words = ["n", "look", "mean_difference", "p_difference", "p_equivalence", "verdict"]
    assert after.loc["snip", words].equals(before.loc["snip", words])
    assert not after.loc["mine", words].equals(before.loc["mine", words])


def test_what_is_forced_is_forced_once(tmp_path):
    """Of all the looks of a call the first one alone does again what is done."""
    experiment = {"tickets": ["snip"], "checks": ["rearranged"], "sparsities": [0.8]}
    statistics = {**STUDY["statistics"], "looks": [2, 3]}
    study = {"experiments": [experiment], "statistics": statistics, "training": {"epochs": 1}}
    clone = Clone(tmp_path, study={**study, "rewind_epoch": 0})
    (tmp_path / "forcing").mkdir()
    (tmp_path / "forcing" / "config.yaml").write_text("forceall: true\n")

    def trained(*options):
        said = clone.make("report.html", options=options)
        assert said.count("look 1 of 2, 2 seeds") == said.count("look 2 of 2, 3 seeds") == 1
        jobs = re.findall(r"^\[.*\] Job \d+: ((?:retrain|prune|pretrain|dense).*)", said, re.M)
        assert len(jobs) == len({*jobs}), "some were done in two looks"
        return {*jobs}

    made = trained("-aF")
    assert len(made) > 5
    # Now the runs of both looks are there.
    shutil.rmtree(clone.root / "looks")
    of_first_look = {job for job in made if "seed 2" not in job}
    assert trained("--profile", tmp_path / "forcing") == of_first_look


def test_code_that_changes_between_two_looks_is_what_the_next_one_runs(tmp_path):
    """The call stays one process; what it holds of the old code must not train under a new name."""
    experiment = {"tickets": ["snip"], "checks": ["rearranged"], "sparsities": [0.8]}
    statistics = {**STUDY["statistics"], "looks": [2, 3]}
    clone = Clone(tmp_path, study={"experiments": [experiment], "statistics": statistics})
    (tmp_path / "workflow").unlink()
    shutil.copytree(ROOT / "workflow", tmp_path / "workflow")

    def code():
        made = clone.root.glob("runs/**/metrics.json")
        return {json.loads(file.read_text())["fingerprints"]["code"] for file in made}

    process = clone.start("report.html")
    old = wait_for(code, "nothing is trained")
    sgd = tmp_path / "workflow" / "lib" / "jackpot" / "training" / "sgd.py"
    sgd.write_text(sgd.read_text().replace("alpha=-lr", "alpha=-2 * lr"))
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "look 2 of 2" in said, said[-4000:]
    new = code()
    assert len(new) == 1 and not new & old
