"""Results that were published and brought back are finished work, on another machine too."""

import json
import shutil
import tarfile

import pytest
import yaml

from jackpot.vocabulary import SOURCE_OF_FIGURE
from tests.support.snake import STUDY, Clone

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def published(small_study, tmp_path_factory):
    """Where the small study is published."""
    folder = tmp_path_factory.mktemp("published") / "small"
    status, said = small_study.script("publish", "--to", folder)
    assert status == 0 and "3 results, of a study of 3 runs" in said, said
    return folder


def test_verdicts_tables_figures_and_page_are_made_anew(small_study, published, tmp_path):
    """From a clone that has nothing, whatever the study's file says by then."""
    clone = other_machine(small_study, tmp_path, training={"epochs": 9})
    status, said = clone.script("redraw", "--published", published.parent, "--out", tmp_path)
    assert status == 0 and "as published" in said, said
    redrawn = tmp_path / "small"
    assert {p.name for p in redrawn.glob("figures/*.svg")} == {
        f"{figure}.svg" for figure in SOURCE_OF_FIGURE
    }
    assert (redrawn / "report.html").stat().st_size > 100_000
    forged = tmp_path / "forged" / "small"
    shutil.copytree(published, forged)
    table = (forged / "verdicts.csv").read_text()
    (forged / "verdicts.csv").write_text(table.replace("too_few_seeds", "unaffected"))
    # A table that is not made any more; the same one is left of an earlier redrawing.
    for folder in (forged, redrawn):
        (folder / "tables" / "gone.md").write_text("gone")
    status, said = clone.script("redraw", "--published", forged.parent, "--out", tmp_path)
    assert status == 1 and "not as published: verdicts.csv, tables/gone.md" in said, said
    status, said = clone.script("redraw", "--published", forged.parent, "--out", forged.parent)
    assert status == 1 and "a publication is there, and would be overwritten" in said, said


def test_tables_of_other_results_are_not_published(small_study, published, tmp_path):
    """Results made since by other settings; what lies beside about.json may be of another time."""
    clone = Clone(tmp_path / "c", study=small_study.study)
    shutil.copytree(small_study.root, clone.root)
    table = (clone.root / "verdicts.csv").read_text()
    (clone.root / "verdicts.csv").write_text(table.replace("too_few_seeds", "unaffected"))
    status, said = clone.script("publish", "--to", tmp_path / "anew")
    assert status == 0, said
    for name in ("verdicts.csv", "runs.csv", "tables/verdicts.md", "figures/verdicts.png"):
        assert (tmp_path / "anew" / name).read_bytes() == (published / name).read_bytes()
    study = {**yaml.safe_load((clone.folder / "study.yaml").read_text())}
    study["training"]["epochs"] += 1
    (clone.folder / "study.yaml").write_text(yaml.safe_dump(study))
    clone.make(clone.run_of("snip") + "/metrics.json")
    status, said = clone.script("publish", "--to", tmp_path / "out")
    assert status == 1 and "not made of the results and settings that are there now" in said
    status, said = clone.script("stale")
    assert (
        status == 1 and "about.json: tables, figures and page are of the study as it was" in said
    ), said
    status, said = clone.script("collect", "--study", "study.yaml")
    assert status == 1 and "not what today's settings and code would make (2 of 3" in said, said
    assert not (tmp_path / "out").exists()
    for name in ("runs.csv", "about.json"):
        (clone.root / name).unlink()
    status, said = clone.script("publish", "--to", tmp_path / "out" / "small")
    assert status == 0 and {p.name for p in (tmp_path / "out" / "small").iterdir()} >= {
        "results.tar.xz"
    }
    assert not (tmp_path / "out" / "small" / "runs.csv").exists()
    status, said = clone.script("redraw", "--published", tmp_path / "out", "--out", tmp_path)
    assert status == 0 and "small: was published without tables" in said, said


def test_the_studys_own_folder_is_not_published_to(small_study, tmp_path):
    """What an earlier publication left in a folder is removed from it, and those are its tables."""
    (tmp_path / "link").symlink_to(small_study.root)
    before = small_study.digests()
    for folder in (small_study.root, tmp_path / "link"):
        status, said = small_study.script("publish", "--to", folder)
        assert status == 1 and f"{folder}: a study's own results are there" in said, said
    assert small_study.digests() == before


def test_a_copied_folder_collects_again_what_is_not_of_its_results(small_study, tmp_path):
    """Snakemake remembers nothing of it, and a lost result leaves no newer file."""
    clone = Clone(tmp_path, study=small_study.study)
    shutil.copytree(small_study.root, clone.root)
    text = clone.make("runs.csv", "verdicts.csv")
    assert "Nothing to be done" in text, text
    shutil.rmtree(clone.root / clone.run_of("snip", "rearranged"))
    text = clone.make("runs.csv", "verdicts.csv", options=["--config", "partial=true"])
    assert ": collect the results" in text and ": verdicts of" in text
    assert len((clone.root / "runs.csv").read_text().splitlines()) == 1 + 2


def test_what_follows_a_forced_training_is_made_again(small_study, tmp_path):
    """On another kind of machine it may end with other bits under the same fingerprint."""
    clone = Clone(tmp_path, study=small_study.study)
    shutil.copytree(small_study.root, clone.root)
    text = clone.make("runs.csv", "verdicts.csv", options=["-R", "retrain"])
    assert text.count(": retrain ") == 2
    assert ": collect the results" in text and ": verdicts of" in text


def other_machine(small_study, tmp_path, **changes):
    """A clone of the same study that has nothing: no data, no weights, no masks."""
    return Clone(tmp_path / "there", study={**small_study.study, **changes})


def test_what_is_published_is_small_and_the_same_each_time(small_study, published, tmp_path):
    with tarfile.open(published / "results.tar.xz") as archive:
        names = archive.getnames()
    assert len(names) == 6 and {name.rsplit("/")[-1] for name in names} == {
        "metrics.json",
        "history.csv",
    }
    assert (published / "runs.csv").read_bytes() == (small_study.root / "runs.csv").read_bytes()
    again = tmp_path / "again"
    small_study.script("publish", "--to", again)
    name = "results.tar.xz"
    assert (again / name).read_bytes() == (published / name).read_bytes()


def test_nothing_is_trained_again(small_study, published, tmp_path):
    clone = other_machine(small_study, tmp_path)
    status, said = clone.script("bring_back", "--published", published)
    assert status == 0 and "3 results brought back" in said, said
    _, said = clone.snakemake("runs.csv", options=["-n"])
    assert "collect" in said
    assert not {"download", "prepare", "initialise", "pretrain", "prune", "retrain"} & {
        line.split()[0] for line in said.splitlines() if line.split()
    }
    clone.make("runs.csv", "verdicts.csv")
    for name in ("runs.csv", "verdicts.csv"):
        assert (clone.root / name).read_bytes() == (small_study.root / name).read_bytes()
    status, said = clone.script("bring_back", "--published", published)
    assert status == 0 and "3 results were there already" in said, said


def test_what_is_brought_back_over_older_results_is_finished_work(small_study, published, tmp_path):
    """Snakemake has noted of what settings this clone had made the older ones."""
    clone = other_machine(small_study, tmp_path, training={**STUDY["training"], "epochs": 1})
    clone.make("runs.csv", options=["--config", "keep_weights=true"])
    (clone.folder / "study.yaml").write_text(yaml.safe_dump({**STUDY, **small_study.study}))
    status, said = clone.script("bring_back", "--published", published)
    assert status == 0 and "3 results brought back" in said, said
    assert not list((clone.root / "runs").rglob("weights.safetensors"))
    text = clone.make("runs.csv", options=["-n"])
    assert not {"pretrain", "dense", "prune", "retrain"} & {
        line.split()[0] for line in text.splitlines() if line.split()
    }


def test_a_lost_result_is_made_again_from_nothing_to_the_same_bits(
    small_study, published, tmp_path
):
    clone = other_machine(small_study, tmp_path)
    clone.script("bring_back", "--published", published)
    lost = clone.run_of("snip", "rearranged")
    shutil.rmtree(clone.root / lost)
    clone.make(f"{lost}/metrics.json")
    digests = [c.metrics(lost)["weights_sha256"] for c in (clone, small_study)]
    assert digests[0] == digests[1]


def test_what_is_forced_is_made_from_nothing(small_study, published, tmp_path):
    clone = other_machine(small_study, tmp_path)
    clone.script("bring_back", "--published", published)
    _, said = clone.snakemake("runs.csv", options=["-n", "--forcerun", "retrain"])
    for rule in ("download", "prepare", "initialise", "prune", "retrain"):
        assert f"\n{rule} " in said, said


def test_other_settings_and_other_runs_are_left_out_with_the_reason(
    small_study, published, tmp_path
):
    clone = other_machine(small_study, tmp_path, training={**STUDY["training"], "epochs": 3})
    status, said = clone.script("bring_back", "--published", published)
    assert status == 1 and "3 results left out: other settings" in said, said
    assert not list(clone.root.rglob("metrics.json"))
    experiments = [{"tickets": ["snip"], "sparsities": [0.8], "seeds": [0]}]
    study = {**STUDY, "experiments": experiments}
    (clone.folder / "study.yaml").write_text(yaml.safe_dump(study))
    status, said = clone.script("bring_back", "--published", published)
    assert status == 1 and "1 results brought back" in said, said
    assert "2 results left out: not part of the study" in said, said


@pytest.mark.parametrize("part", ["metrics.json", "history.csv"])
def test_an_altered_result_is_refused(small_study, published, tmp_path, part):
    clone, forged = other_machine(small_study, tmp_path), tmp_path / "forged"
    with tarfile.open(published / "results.tar.xz") as archive:
        archive.extractall(forged, filter="data")
    file = next(forged.rglob(f"snip/none/**/{part}"))
    if part == "metrics.json":
        value = json.loads(file.read_text())
        file.write_text(json.dumps({**value, "test_accuracy": 99.0}))
    else:
        file.write_text(file.read_text().replace("1", "2"))
    with tarfile.open(forged / "results.tar.xz", "w:xz") as archive:
        archive.add(forged / "runs", "runs")
    status, said = clone.script("bring_back", "--published", forged)
    assert status == 1 and "altered" in said, said
    assert not (clone.root / clone.run_of("snip") / "metrics.json").exists()
