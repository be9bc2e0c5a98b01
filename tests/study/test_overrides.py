"""Settings of some cells alone: overrides, another model, another epoch to rewind to."""

import re

import pytest

from jackpot.study import Plan, load_config, load_study
from tests.support.studies import message, written


def test_overrides_apply_in_order_and_only_where_they_match(tmp_path):
    overrides = [
        {"when": {"ticket": ["snip", "grasp"]}, "retraining": {"batch_size": 128}},
        {"when": {"ticket": "snip", "model": "vgg5"}, "retraining": {"weight_decay": 0.5}},
        {"when": {"dataset": "digits"}, "pretraining": {"epochs": 9}},
        {"when": {"pruner": "grasp"}, "pruning_batch": {"draws": 3}},
        {"when": {"ticket": "hybrid"}, "rewind_epoch": 2, "retrain_epochs": 7},
    ]
    study = load_study(written(tmp_path, overrides=overrides))
    snip = study.retraining_of("digits", "vgg5", "snip")
    assert (snip.batch_size, snip.weight_decay, snip.epochs) == (128, 0.5, 4)
    grasp = study.retraining_of("digits", "vgg5", "grasp")
    assert (grasp.batch_size, grasp.weight_decay) == (128, 1e-4)
    assert study.pretraining_of("digits", "vgg5").epochs == 9
    assert study.pruning_batch_of("digits", "vgg5", "grasp").draws == 3
    assert study.pruning_batch_of("digits", "vgg5", "snip").draws == 1
    assert study.rewind_epoch_of("digits", "vgg5", "hybrid") == 2
    assert study.retrain_epochs_of("digits", "vgg5", "hybrid") == 7
    assert study.retrain_epochs_of("digits", "vgg5", "snip") == 4


def test_null_in_an_override_takes_back_what_was_set(tmp_path):
    overrides = [
        {"retraining": {"missed_milestones": "multiply"}, "rewind_epoch": 2, "retrain_epochs": 7},
        {
            "when": {"ticket": "snip"},
            "retraining": {"missed_milestones": None},
            "rewind_epoch": None,
        },
        {"when": {"ticket": "hybrid"}, "retrain_epochs": None},
    ]
    study = load_study(written(tmp_path, overrides=overrides))
    snip, hybrid = (("digits", "vgg5", ticket) for ticket in ("snip", "hybrid"))
    assert study.retraining_of(*hybrid).missed_milestones == "multiply"
    assert study.retraining_of(*snip).missed_milestones is None
    assert study.rewind_epoch_of(*hybrid) == 2
    assert study.rewind_epoch_of(*snip) == study.rewind_epoch
    assert study.retrain_epochs_of(*hybrid) == 4 - 2


def test_null_is_refused_where_it_is_no_value(tmp_path):
    overrides = [{"retraining": {"epochs": 9}}, {"retraining": {"epochs": None}}]
    assert re.search(
        r"overrides\[1\]\.retraining\.epochs: Input should be a valid integer \(got None\)",
        message(tmp_path, overrides=overrides),
    )


def test_an_override_that_would_do_nothing_is_refused(tmp_path):
    overrides = [{"when": {"ticket": ["snip", "dense"]}, "retraining": {"epochs": 9}}]
    assert "overrides[0].retraining: dense is the pretrained" in message(
        tmp_path, overrides=overrides
    )


def test_a_model_can_stand_in_for_another_in_some_cells(tmp_path):
    models = {"vgg5": {"width": 2}, "plain": {"architecture": "vgg5", "options": {"affine": False}}}
    experiments = [
        {
            "models": ["vgg5"],
            "tickets": ["dense", "snip", "random", "weight_rewinding"],
            "sparsities": [0.5],
            "seeds": [0],
        }
    ]
    override = {"when": {"model": "vgg5", "ticket": ["dense", "snip"]}, "network": "plain"}
    changes = {"models": models, "experiments": experiments}
    study = load_study(written(tmp_path, overrides=[override], **changes))
    assert {r.model for r in study.runs()} == {"vgg5"}
    plan = Plan(study, load_config({}))
    parts = {}
    for run in study.runs():
        job = plan.job_of(run)
        assert "/runs/digits/vgg5/" in job.outputs[0]
        own = [f.path for name, f in job.inputs.items() if name != "clean"]
        parts[run.ticket] = {re.search(r"/(?:masks|weights)/digits/(\w+)/", p)[1] for p in own}
    plain, own = {"plain"}, {"vgg5"}
    assert parts == {"dense": plain, "snip": plain, "random": own, "weight_rewinding": own}
    assert plan.initialise("digits", "plain", 0).options["options"] == {"affine": False}
    assert "options" not in plan.initialise("digits", "vgg5", 0).options
    without = Plan(load_study(written(tmp_path, **changes)), load_config({}))
    changed = {
        r.ticket
        for r in study.runs()
        if plan.job_of(r).fingerprint != without.job_of(r).fingerprint
    }
    assert changed == {"dense", "snip"}
    text = message(tmp_path, overrides=[{"network": "vgg6"}])
    assert "overrides[0].network: model 'vgg6' does not exist. Did you mean 'vgg5'?" in text
    text = message(tmp_path, overrides=[{"when": {"pruner": "snip"}, "network": "vgg5"}])
    assert "use `when: {ticket: ...}`" in text


def test_weights_can_be_rewound_to_another_epoch_than_the_schedule(tmp_path):
    experiments = [{"tickets": ["weight_rewinding"], "sparsities": [0.5], "seeds": [0]}]
    jobs = {}
    for after in (None, 2):
        changes = {"rewind_weights_epoch": after} if after else {}
        study = load_study(written(tmp_path, experiments=experiments, rewind_epoch=1, **changes))
        plan = Plan(study, load_config({}))
        (run,) = {r for r in study.runs() if r.check == "none"}
        jobs[after] = plan.job_of(run)
        epoch = after or 1
        assert jobs[after].inputs["weights"].path.endswith(f"/epoch{epoch}.safetensors")
        assert jobs[after].options["first_epoch"] == 1
        assert jobs[after].inputs["weights"].job.options["snapshots"] == [epoch]
    assert jobs[None].fingerprint != jobs[2].fingerprint
    text = message(tmp_path, experiments=experiments, rewind_weights_epoch=5)
    assert "rewind_weights_epoch: 5 is after the end of pretraining" in text and "0 to 4" in text
    overrides = [{"when": {"ticket": "weight_rewinding"}, "rewind_weights_epoch": 4}]
    study = load_study(written(tmp_path, experiments=experiments, overrides=overrides))
    assert study.rewind_weights_epoch_of("digits", "vgg5", "weight_rewinding") == 4
    assert study.rewind_epochs == [4]


@pytest.mark.parametrize("ticket", ["dense", "lottery", "snip"])
def test_every_pretraining_lasts_until_the_epoch_that_any_ticket_rewinds_to(tmp_path, ticket):
    """Each keeps the weights of every such epoch; initial tickets need no pretraining."""
    experiments = [
        {"models": ["big"], "tickets": ["weight_rewinding"]},
        {"models": ["small"], "tickets": [ticket]},
    ]
    values = {
        "models": {name: {"architecture": "vgg5"} for name in ("big", "small")},
        "experiments": [{**each, "sparsities": [0.5], "seeds": [0]} for each in experiments],
        "training": {"epochs": 9},
        "rewind_epoch": 4,
    }
    for epochs in (4, 3):
        override = {"when": {"model": "small"}, "pretraining": {"epochs": epochs}}
        if epochs == 4 or ticket == "snip":
            assert load_study(written(tmp_path, **values, overrides=[override]))
            continue
        text = message(tmp_path, **values, overrides=[override])
        assert "weight_rewinding of big on digits needs the weights after epoch 4" in text
        assert "that of small on digits has 3 epochs. Pretrain small for 4 or more, or" in text
