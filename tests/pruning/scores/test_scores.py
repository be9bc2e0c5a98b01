"""What every score does, and how scores are found."""

import pytest
import torch
from torch import nn

from jackpot.errors import JackpotError
from jackpot.models import prunable
from jackpot.pruning.scores import SCORES
from jackpot.randomness import generator
from tests.support.pruning import flat
from tests.support.scores import batch, tiny


@pytest.mark.parametrize("name", SCORES.names())
@pytest.mark.parametrize("training", [True, False])
def test_the_callers_model_is_untouched(name, training):
    model = tiny().train(training)
    model.conv.eval()  # a mixed mode must survive, too
    model.conv.bias.requires_grad_(False)
    model(torch.randn(4, 2, 5, 4, generator=generator(7))).sum().backward()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    gradients = {
        key: p.grad if p.grad is None else p.grad.clone() for key, p in model.named_parameters()
    }
    modes = [module.training for module in model.modules()]
    with torch.no_grad():  # gradients switched off outside must not matter
        scores = SCORES[name](model, batch(), generator(0))
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    for key, parameter in model.named_parameters():
        kept = gradients[key]
        assert parameter.grad is kept if kept is None else torch.equal(parameter.grad, kept)
        assert parameter.requires_grad == (key != "conv.bias")
    assert [module.training for module in model.modules()] == modes
    assert list(scores) == ["conv.weight", "classifier.weight"]
    assert all(scores[key].shape == w.shape for key, w in prunable(model).items())
    assert not any(score.requires_grad for score in scores.values())
    expected = torch.float64 if name == "synflow" else torch.float32
    assert all(score.dtype == expected for score in scores.values())


@pytest.mark.parametrize("name", SCORES.names())
def test_scores_repeat_exactly_whatever_the_global_state(name):
    model = tiny()
    torch.manual_seed(0)
    first = SCORES[name](model, batch(), generator(2, "s"))
    torch.manual_seed(9)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        second = SCORES[name](model.eval(), batch(), generator(2, "s"))
    assert torch.equal(flat(first), flat(second))


@pytest.mark.parametrize("name", sorted(set(SCORES.names()) - {"random", "magnitude"}))
def test_a_networks_passes_are_in_plain_arithmetic(name):
    """On a GPU TF32 and autotuned convolutions would round otherwise, from call to call."""
    model, met = tiny(), []
    model.register_forward_pre_hook(lambda *_: met.append(cudnn_flags()))
    outside = {"enabled": True, "benchmark": True, "deterministic": False, "allow_tf32": True}
    with torch.backends.cudnn.flags(**outside):
        SCORES[name](model, batch(), generator(0))
        assert cudnn_flags() == outside
    inside = {"enabled": True, "benchmark": False, "deterministic": True, "allow_tf32": False}
    assert met and all(flags == inside for flags in met)


def cudnn_flags():
    names = ("enabled", "benchmark", "deterministic", "allow_tf32")
    return {name: getattr(torch.backends.cudnn, name) for name in names}


@pytest.mark.parametrize("name", SCORES.names())
def test_attention_and_boolean_buffers_are_no_obstacle(name):
    """The fused form of attention has no second derivative, and a bool no absolute value."""

    class Attends(nn.Module):
        def __init__(self):
            super().__init__()
            self.queries = nn.Linear(4, 6)
            self.register_buffer("seen", torch.ones(5, 5, dtype=torch.bool))
            self.classifier = nn.Linear(6, 3)

        def forward(self, x):
            x = self.queries(x.flatten(1, 2)[:, :5])[:, None]
            x = nn.functional.scaled_dot_product_attention(x, x, x, attn_mask=self.seen)
            return self.classifier(x.mean((1, 2)))

    scores = SCORES[name](Attends(), batch(), generator(0))
    assert flat(scores).isfinite().all()


@pytest.mark.parametrize("name", ["snip", "grasp"])
def test_batches_that_do_not_divide_are_refused(name):
    images, labels = batch(12)
    with pytest.raises(JackpotError, match="5 equal draws"):
        SCORES[name](tiny(), (images, labels), generator(0), draws=5)
    with pytest.raises(JackpotError, match="0 equal draws"):
        SCORES[name](tiny(), (images, labels), generator(0), draws=0)
    with pytest.raises(JackpotError, match="12 images and 6 labels"):
        SCORES[name](tiny(), (images, labels[:6]), generator(0), draws=2)
    with pytest.raises(JackpotError, match="pruning batch"):
        SCORES[name](tiny(), None, generator(0))


@pytest.mark.parametrize("name", SCORES.names())
def test_every_score_says_whether_it_uses_data(name):
    import ast
    import importlib
    from pathlib import Path

    module = importlib.import_module(f"jackpot.pruning.scores.{name}")
    tree = ast.parse(Path(module.__file__).read_text())
    literal = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "USES_DATA"
    }
    model = tiny()
    (images, labels), other = batch(12, 0), batch(12, 1)
    first = SCORES[name](model, (images, labels), generator(0))
    second = SCORES[name](model, other, generator(0))
    assert literal["USES_DATA"] == (not torch.equal(flat(first), flat(second)))


def test_a_users_score_is_found_by_file_and_by_module(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class Settings:\n"
        "    power: float = 2.0\n"
        "def largest(model, data, generator):\n"
        "    return 'found'\n"
    )
    assert SCORES[f"{tmp_path}/mine.py:largest"](None, None, None) == "found"
    monkeypatch.syspath_prepend(tmp_path)
    assert SCORES["mine:largest"](None, None, None) == "found"
    with pytest.raises(JackpotError, match="smallest"):
        SCORES[f"{tmp_path}/mine.py:smallest"]
    with pytest.raises(JackpotError, match="there is no file"):
        SCORES[f"{tmp_path}/yours.py:largest"]
    with pytest.raises(JackpotError, match="no_such_module"):
        SCORES["no_such_module:largest"]
    (tmp_path / "broken.py").write_text("import no_such_thing\n")
    with pytest.raises(JackpotError, match="no_such_thing"):
        SCORES[f"{tmp_path}/broken.py:largest"]


def test_the_folder_is_the_registry():
    names = ["force", "grasp", "magnitude", "ntk_sap", "random", "snip", "synflow"]
    assert SCORES.names() == names
    assert set(SCORES) == set(names) and len(SCORES) == 7
    assert "snip" in SCORES and "_copy" not in SCORES
    with pytest.raises(JackpotError, match="Allowed: force, grasp, magnitude"):
        SCORES["snipp"]


def test_listing_names_does_not_import_torch():
    import subprocess
    import sys

    code = (
        "import sys; from jackpot.pruning.scores import SCORES; "
        "from jackpot.pruning.allocation import allocation_names, smart_counts; "
        "from jackpot.checks import CHECKS; SCORES.names(); allocation_names(); "
        "smart_counts([90, 90, 20], 0.5); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
