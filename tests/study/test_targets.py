"""Files asked for by path: those that a study can make, and words for all others."""

import re

import pytest

from jackpot.errors import JackpotError
from jackpot.study import Plan, load_config, load_study
from jackpot.study.tickets import TICKETS
from tests.support import ROOT
from tests.support.studies import written

DIGITS = ROOT / "studies" / "digits.yaml"


def test_a_target_whose_check_has_nothing_to_spoil_is_refused(tmp_path):
    tickets = ["dense", "random", "snip"]
    experiments = [{"tickets": tickets, "sparsities": [0.8], "seeds": [0]}]
    plan = Plan(load_study(written(tmp_path, experiments=experiments)), load_config({}))

    def cell(ticket, check):
        return f"{plan.root}/runs/digits/vgg5/{ticket}/{check}/sparsity0.8/seed0/metrics.json"

    plan.check_target(cell("snip", "corrupted_data"))
    plan.check_target(cell("random", "rearranged"))
    why = "'corrupted_data' does not apply to ticket 'random'.* random says USES_DATA = False"
    with pytest.raises(JackpotError, match=why):
        plan.check_target(cell("random", "corrupted_data"))
    with pytest.raises(JackpotError, match="'rearranged' does not apply to ticket 'dense'"):
        plan.check_target(
            f"{plan.root}/runs/digits/vgg5/dense/rearranged/sparsity0/seed0/metrics.json"
        )
    folder = cell("snip", "none").removesuffix("/metrics.json")
    for path in (folder, f"{folder}/weights.safetensors", f"{plan.root}/runs/digits"):
        with pytest.raises(
            JackpotError, match=r"asked for by .*/metrics.json. Its weights come al"
        ):
            plan.refuse_part_of_run(path)
    plan.refuse_part_of_run(cell("snip", "none"))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("data/foo/clean.safetensors", r"dataset foo is not in the study .*; it has digits\. Add"),
        (
            "data/digits/foo.safetensors",
            "data foo is not in the study .*; it has clean, corrupted_",
        ),
        ("data/digits/random_pixels-x.safetensors", "data random_pixels-x is not in the study"),
        ("weights/digits/vgg6/seed0/init.safetensors", "model vgg6 is not in .*; it has vgg5"),
        ("weights/digits/vgg5/seed7/init.safetensors", "seed 7 is not in .*; it has 0"),
        ("weights/digits/vgg5/seed0/foo/trained.safetensors", "data foo is not in the study"),
        ("masks/digits/vgg5/x/clean/seed0/sparsity0.9.safetensors", "pruner x is not .* snip"),
        ("masks/digits/vgg5/snip/x/seed0/sparsity0.9.safetensors", "data x is not in the study"),
        (
            "masks/digits/vgg5/snip/clean+x/seed0/sparsity0.9.safetensors",
            "check of scores x is not in .*; it has inverted",
        ),
        (
            "masks/digits/vgg5/snip/clean/seed0/sparsity0.5.safetensors",
            r"sparsity 0\.5 is not in .*; it has 0\.9",
        ),
    ],
)
def test_a_target_that_names_what_the_study_has_not_is_refused(tmp_path, path, said):
    plan = Plan(load_study(written(tmp_path)), load_config({}))
    with pytest.raises(JackpotError, match=f"^{plan.root}/{re.escape(path)}: {said}"):
        plan.check_target(f"{plan.root}/{path}")


def test_a_name_that_starts_as_what_it_names_is_told_whole(tmp_path):
    digits = {"kind": "digits"}
    study = load_study(written(tmp_path, datasets={"dataset_a": digits}))
    plan = Plan(study, load_config({}))
    path = f"{plan.root}/runs/dataset_b/vgg5/snip/none/sparsity0.9/seed0/metrics.json"
    with pytest.raises(JackpotError, match=r"dataset dataset_b is not .*; it has dataset_a\."):
        plan.check_target(path)
    with pytest.raises(JackpotError, match=r"seed 7 is not in .*/sparsity0\.9 has 0\."):
        plan.check_target(path.replace("dataset_b", "dataset_a").replace("seed0", "seed7"))


def test_a_source_of_another_definition_or_dataset_is_refused(tmp_path):
    config = load_config({"data_dir": str(tmp_path / "images")})
    plan = Plan(load_study(written(tmp_path)), config)
    other = {"digits": {"kind": "digits", "test_fraction": 0.3}}
    before = Plan(load_study(written(tmp_path, datasets=other)), config).source("digits")
    today = plan.source("digits")
    plan.check_target(today)
    why = f"^{before}: this source is of another definition of the dataset digits .*{today}\\.$"
    with pytest.raises(JackpotError, match=why):
        plan.check_target(before)
    foo = today.replace("/digits/", "/foo/")
    with pytest.raises(JackpotError, match=f"^{foo}: dataset foo is not in .*; it has digits"):
        plan.check_target(foo)
    plan.check_target(f"{tmp_path}/images/digits/source-of-mine.json")


def test_every_file_that_a_study_can_make_is_welcome_as_a_target(tmp_path):
    """Of every ticket under every check, and with data that are spoiled in two ways."""
    experiment = {"tickets": [*TICKETS], "checks": "all", "sparsities": [0.9], "seeds": [0]}
    override = {"when": {"pruner": "grasp"}, "check_options": {"random_pixels": {"scope": "rows"}}}
    study = load_study(written(tmp_path, experiments=[experiment], overrides=[override]))
    plan = Plan(study, load_config({}))
    files = plan.files()
    assert len(files) > 300 and f"{plan.root}/data/digits/random_pixels-rows.safetensors" in files
    for path in files:
        plan.check_target(path)
        plan.refuse_other_study(path)


def test_a_target_of_another_study_names_the_option_that_chooses_it(tmp_path):
    study = written(tmp_path)
    (tmp_path / "other.yaml").write_text("name: other")
    config = {"study": str(study), "results_dir": "out", "data_dir": "out/data"}
    plan = Plan(load_study(study), load_config(config))
    for path in ("all", "out/small/runs.csv", "out/data/digits/source-1.json", "out/x/y", "out"):
        plan.refuse_other_study(path)
    with pytest.raises(JackpotError) as error:
        plan.refuse_other_study("out/other/runs.csv")
    assert str(error.value) == (
        f"out/other/runs.csv: this path is of the study other, and this call is of small ({study})."
        f" Add --config study={tmp_path}/other.yaml."
    )
    with pytest.raises(JackpotError, match="Add --config study=<the YAML file of gone>"):
        plan.refuse_other_study("out/gone/runs/digits/metrics.json")
