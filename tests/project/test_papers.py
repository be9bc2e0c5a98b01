"""The papers' studies: every cell of theirs, their settings, and what a dry run lists."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from jackpot.analysis.reported import load_reported
from jackpot.errors import JackpotError
from jackpot.study import Plan, load_config, load_study
from jackpot.study.tickets import PRUNERS, TICKETS
from tests.support import ROOT, snake
from tests.support.studies import written

CELL = ["dataset", "model", "ticket", "check", "sparsity"]
STUDIES = ("mlrc2020", "su2020", "grasp2020")


@pytest.fixture(scope="module")
def studies():
    return {name: load_study(ROOT / "studies" / f"{name}.yaml") for name in STUDIES}


def reported(source):
    table = load_reported()
    return set(table[table.source == source][CELL].itertuples(index=False, name=None))


def cells(study):
    return {(r.dataset, r.model, r.ticket, r.check, r.sparsity) for r in study.runs()}


@pytest.mark.parametrize(("source", "count"), [("mlrc2020", 136), ("su2020", 12)])
def test_every_reported_cell_is_a_run(studies, source, count):
    assert len(reported(source)) == count
    assert reported(source) <= cells(studies[source])


def test_mlrc2020_has_the_grid_of_its_two_pruners(studies):
    """GraSP and SNIP x 3 checks x 2 models: six sparsities on CIFAR-10, three on CIFAR-100."""
    for ticket in ("grasp", "snip"):
        for dataset, sparsities in (
            ("cifar10", (0.4, 0.6, 0.8, 0.9, 0.95, 0.98)),
            ("cifar100", (0.9, 0.95, 0.98)),
        ):
            grid = {
                (dataset, model, ticket, check, sparsity)
                for model in ("resnet32", "vgg19")
                for check in ("none", "corrupted_data", "rearranged")
                for sparsity in sparsities
            }
            assert grid <= cells(studies["mlrc2020"])
    count = Counter(ticket for _, _, ticket, _, _ in cells(studies["mlrc2020"]))
    assert (count["random"], count["dense"], count["hybrid"]) == (12, 4, 36)
    # Their READMEs' seeds are the first two of ours, in every cell.
    study = studies["mlrc2020"]
    assert (study.seed_order[:2], study.statistics.looks[0]) == ([0, 2020], 2)


def test_grasps_own_sparsities_are_there(studies):
    found = {c[1:] for c in cells(studies["mlrc2020"]) if c[:1] == ("cifar100",)}
    for sparsity in (0.985, 0.99, 0.995):
        assert ("vgg19", "grasp", "none", sparsity) in found
    assert ("resnet32", "grasp", "none", 0.85) in found


@pytest.mark.parametrize(
    ("study", "model", "ticket", "batch_size", "weight_decay"),
    [
        ("mlrc2020", "vgg19", "random", 128, 5e-4),
        ("mlrc2020", "resnet32", "random", 128, 5e-4),
        ("mlrc2020", "vgg19", "grasp", 128, 5e-4),
        ("mlrc2020", "resnet32", "grasp", 128, 1e-4),
        ("mlrc2020", "vgg19", "snip", 64, 1e-4),
        ("mlrc2020", "resnet32", "lr_rewinding", 64, 1e-4),
        ("mlrc2020", "vgg19", "hybrid", 64, 1e-4),
        ("su2020", "vgg19", "random", 64, 1e-4),
        ("su2020", "resnet32", "grasp", 64, 1e-4),
    ],
)
def test_settings_are_theirs(studies, study, model, ticket, batch_size, weight_decay):
    settings = studies[study].retraining_of("cifar10", model, ticket)
    assert (settings.batch_size, settings.weight_decay) == (batch_size, weight_decay)
    assert (settings.epochs, settings.learning_rate, settings.momentum) == (160, 0.1, 0.9)
    assert (settings.decay, settings.milestones, settings.factor) == ("step", (0.5, 0.75), 0.1)
    assert (settings.crop_padding, settings.flip) == (4, True)


def test_pruning_batches_are_theirs(studies):
    def batch(study, dataset, model, pruner):
        found = studies[study].pruning_batch_of(dataset, model, pruner)
        if found.kind == "shuffled":
            return found.size
        return found.samples_per_class, found.draws

    assert batch("mlrc2020", "cifar10", "resnet32", "grasp") == (10, 1)
    assert batch("mlrc2020", "cifar100", "vgg19", "grasp") == (10, 1)
    assert batch("mlrc2020", "cifar100", "resnet32", "grasp") == (5, 2)
    assert batch("mlrc2020", "cifar100", "resnet32", "snip") == 64
    assert batch("grasp2020", "tiny_imagenet", "vgg19", "grasp") == (1, 10)
    for pruner in ("snip", "grasp"):
        assert batch("su2020", "cifar100", "resnet32", pruner) == (10, 1)
        assert batch("su2020", "cifar10", "resnet44", pruner) == (1, 10)
        assert batch("su2020", "cifar10", "resnet56", pruner) == (1, 10)
        assert batch("su2020", "tiny_imagenet", "resnet32", pruner) == (1, 10)


def test_rewinding_and_epochs_are_theirs(studies):
    theirs, papers = studies["mlrc2020"], studies["su2020"]
    for ticket in ("weight_rewinding", "lr_rewinding", "hybrid"):
        assert theirs.rewind_epoch_of("cifar10", "vgg19", ticket) == 40
        assert theirs.retrain_epochs_of("cifar10", "vgg19", ticket) == 160
        assert papers.retrain_epochs_of("cifar10", "vgg19", ticket) == 120
    for settings in (
        papers.pretraining_of("tiny_imagenet", "vgg19"),
        papers.retraining_of("tiny_imagenet", "resnet32", "random"),
    ):
        assert settings.epochs == 300


def plan_of(study):
    return Plan(study, load_config({}))


def initialised(plan, dataset, model, ticket):
    """What is drawn for a run: the options of the job at the root of its weights."""
    job = plan.retrain(dataset, model, ticket, "none", "0.98", "0").inputs["weights"].job
    while job.rule != "initialise":
        job = job.inputs["weights"].job
    return {k: v for k, v in job.options.items() if k in ("initial", "options")}


def test_vgg19_has_affine_batch_norm_where_theirs_has(studies):
    """mlrc2020: S/models/vgg.py has affine=False; GraSP/ and random_tickets/ have not."""
    study = studies["mlrc2020"]
    plan, plain = plan_of(study), {"options": {"affine": False}}
    for run in study.runs():
        if run.ticket == "dense":
            continue
        drawn = initialised(plan, run.dataset, run.model, run.ticket)
        ours = run.ticket == "grasp" or run.ticket.startswith("random")
        assert drawn == (plain if run.model == "vgg19" and not ours else {}), run
    dense = plan.dense("cifar10", "vgg19", "dense", "none", 0, 2020).inputs["metrics"].job
    assert dense.inputs["weights"].job.options["options"] == {"affine": False}
    assert {run.model for run in study.runs()} == {"vgg19", "resnet32"}


def test_networks_of_su2020_are_theirs(studies):
    """models/vgg.py: fan-in and biases; models/resnet.py: bottlenecks from depth 54 on."""
    plan = plan_of(studies["su2020"])
    for model in studies["su2020"].models:
        theirs = {"initial": "fan_in", "options": {"bias": True}} if model.startswith("vgg") else {}
        if model == "resnet56":
            theirs = {"options": {"bottleneck": True}}
        assert initialised(plan, "cifar10", model, "random") == theirs
    plan = plan_of(studies["grasp2020"])
    assert initialised(plan, "cifar10", "vgg19", "grasp") == {}


def test_rates_and_rewound_weights_are_theirs(studies):
    theirs, papers = studies["mlrc2020"], studies["su2020"]
    assert theirs.training.missed_milestones == "preset"
    assert papers.training.missed_milestones == "multiply"
    assert studies["grasp2020"].training.missed_milestones is None
    for ticket in ("weight_rewinding", "hybrid_weight_rewinding"):
        job = plan_of(theirs).retrain("cifar10", "vgg19", ticket, "none", "0.98", "2020")
        assert job.inputs["weights"].path.endswith("/epoch41.safetensors")
        assert job.options["first_epoch"] == 40
    job = plan_of(papers).retrain("cifar10", "vgg19", "weight_rewinding", "none", "0.98", "0")
    assert job.inputs["weights"].path.endswith("/epoch40.safetensors")


def test_the_readme_of_su2020_has_its_cells(studies):
    found = cells(studies["su2020"])
    for model in ("resnet32", "vgg19"):
        assert ("cifar10", model, "lottery", "shuffled_weights", 0.98) in found
        assert ("cifar10", model, "hybrid_from_start", "none", 0.98) in found
    job = plan_of(studies["su2020"]).retrain(
        "cifar10", "resnet32", "hybrid_from_start", "none", "0.98", "0"
    )
    assert (job.options["first_epoch"], job.options["retrain_epochs"]) == (0, 160)
    assert job.inputs["weights"].path.endswith("/trained.safetensors")


def test_variants_are_theirs(studies):
    theirs, papers = studies["mlrc2020"].all_pruners, studies["su2020"].all_pruners
    for name in ("random", "hybrid", "random_structured", "random_dense_classifier"):
        assert theirs[name].allocation_options["variant"] == "mlrc2020"
    assert papers["random"].allocation_options == {}
    assert papers["magnitude"].keep_classifier and not theirs["magnitude"].keep_classifier
    assert all(p["grasp"].score_options == {"reinit_classifier": True} for p in (theirs, papers))
    assert {r.ticket for r in studies["su2020"].runs()} > {
        *("random_uniform", "random_linear", "random_cubic", "random_ascending")
    }


def test_pixels_are_permuted_as_each_of_their_programs_does(studies):
    plan = Plan(studies["mlrc2020"], load_config({}))
    seen = {}
    for ticket in ("snip", "grasp"):
        job = plan.retrain("cifar10", "vgg19", ticket, "corrupted_data", "0.98", "0")
        assert job.options.get("scope") is None
        data = job.inputs["mask"].job.inputs["data"]
        seen[ticket] = Path(data.path).stem
        assert data.job.options["check"] == "corrupted_data"
        assert data.job.options["scope"] == ("rows" if ticket == "snip" else "rows_and_columns")
        # What is listed as the study's is what its jobs make.
        assert data.path in plan.files()
    assert seen == {"snip": "corrupted_data", "grasp": "corrupted_data-rows_and_columns"}
    prints = {plan.corrupt("cifar10", data).fingerprint for data in seen.values()}
    assert len(prints) == 2
    job = plan.retrain("cifar10", "vgg19", "grasp", "rearranged", "0.98", "0")
    assert Path(job.inputs["mask"].path).parts[6] == "clean"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ({"shuffled_weights": {"scope": "layer"}}, r"check 'shuffled_weights' does not exist"),
        ({"corrupted_data": {"scope": "cols"}}, r"known: image, rows"),
    ],
)
def test_overrides_of_scopes_are_checked(tmp_path, override, expected):
    with pytest.raises(JackpotError, match=expected):
        load_study(written(tmp_path, overrides=[{"check_options": override}]))
    options = {"corrupted_data": {"scope": "rows"}}
    overrides = [{"when": {"ticket": "snip"}, "check_options": options}]
    with pytest.raises(JackpotError, match="masks are shared by tickets"):
        load_study(written(tmp_path, overrides=overrides))


def test_options_of_the_papers_have_tickets():
    assert TICKETS["hybrid_weight_rewinding"].weights == "rewound"
    assert PRUNERS["random_dense_classifier"].allocation_options == {"classifier_density": 1.0}
    assert PRUNERS["random_structured"].structured
    assert PRUNERS[TICKETS["lottery_iterative"].pruner].iterations > 1
    assert TICKETS["lottery_iterative"].weights == TICKETS["lottery"].weights == "initial"


def test_frankle2021_is_their_networks_schedule_and_sparsities():
    study = load_study(ROOT / "studies" / "frankle2021.yaml")
    training = study.training
    assert (training.epochs, training.batch_size, training.learning_rate) == (160, 128, 0.1)
    assert (training.milestones, training.factor) == ((0.5, 0.75), 0.1)
    assert {model.initial for model in study.models.values()} == {"fan_in"}
    assert study.models["vgg16"].options == {"bias": True}
    # Random masks without a rule a layer are theirs; smart and uniform ratios are not.
    random = study.all_pruners["random_global"]
    assert (random.score, random.allocation) == ("random", "global")
    sparsities = sorted({run.sparsity for run in study.runs() if run.sparsity})
    assert sparsities == [round(1 - 0.8**n, 3) for n in range(1, 19)]


@pytest.mark.parametrize("name", STUDIES)
def test_every_value_says_where_it_comes_from(name):
    """Settings of the papers' studies carry a comment, on the line or above it."""
    lines = (ROOT / "studies" / f"{name}.yaml").read_text().splitlines()
    text = "\n".join(lines)
    keys = yaml.safe_load(text)["training"]
    start = lines.index("training:")
    commented = [re.search(r"  (\w+): .*#", line) for line in lines[start + 1 :]]
    named = {found[1] for found in commented if found}
    missing = set(keys) - named
    assert missing <= {"factor"}
    for block in ("overrides:", "experiments:"):
        part = text[text.index(f"\n{block}") :].split("\n\n")[0]
        assert part.count("#") >= 3


@pytest.mark.workflow
def test_a_dry_run_lists_every_cell_and_shared_work_once(studies, tmp_path):
    config = ["study=studies/mlrc2020.yaml", f"results_dir={tmp_path}/results"]
    text = snake.succeed(ROOT, "-n", "--config", *config, f"data_dir={tmp_path}/data")
    jobs = Counter(re.findall(r"^Job \d+: (.*)$", text, re.M))
    assert set(jobs.values()) == {1}
    runs = [r for r in studies["mlrc2020"].runs() if r.seed in (0, 2020)]  # the first look's
    assert {job for job in jobs if job.startswith(("retrain", "dense"))} == {
        f"dense {r.model} on {r.dataset}, seed {r.seed}"
        if r.ticket == "dense"
        else f"retrain {r.ticket} ({r.check}) at sparsity {r.sparsity:g}: "
        f"{r.model} on {r.dataset}, seed {r.seed}"
        for r in runs
    }
    # Two models on two datasets with two seeds, clean and half; a third has initial weights alone.
    count = {rule: int(number) for rule, number in re.findall(r"^(\w+) +(\d+)$", text, re.M)}
    assert (count["initialise"], count["pretrain"], count["dense"]) == (12, 16, 8)
    assert (count["download"], count["prepare"], count["corrupt"]) == (2, 2, 8)
    assert count["retrain"] == len(runs) - 8


def test_the_studies_do_not_import_torch():
    code = (
        "import sys; from jackpot.study import load_study; "
        "load_study('studies/su2020.yaml').runs(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
