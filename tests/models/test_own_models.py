"""A user's network: what it must be, its initial weights, and how it is laid out."""

import copy

import pytest
import torch
from torch import nn

from jackpot.errors import JackpotError
from jackpot.files.tensors import load_tensors, save_tensors
from jackpot.models import build_model, model_with_state, prunable
from jackpot.models.initial import initial_state, initial_weights
from jackpot.models.trial import lay_out, try_out
from jackpot.randomness import generator
from jackpot.settings import Training
from jackpot.stages.initialise import initialise
from jackpot.training.batches import to_device
from jackpot.training.engine import train
from jackpot.training.resume import ResumeFile
from jackpot.training.sgd import SGD
from tests.support.small import make_data

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, classes, channels, size, width=6, broken=""):
        super().__init__()
        self.embed = nn.Conv2d(channels, width, 2, 2)
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width * (size // 2) ** 2)
        self.scale = nn.Parameter(torch.randn(3))
        self.register_buffer("fixed", torch.rand(2), persistent=False)
        if broken == "idle":
            self.idle = nn.Linear(2, 2)
        self.head = nn.Linear(width * (size // 2) ** 2, classes + (broken == "wide"))
        self.tied = self.head
        self.broken = broken

    def forward(self, x):
        x = self.depthwise(self.embed(x))
        x = x.view(len(x), -1) if self.broken == "view" else x.flatten(1)
        if self.broken == "shape":
            x = x[:, 1:]
        y = self.head(self.norm(x)) * self.scale.mean()
        return {"logits": y} if self.broken == "dict" else y

def net(num_classes, in_channels, image_size, **options):
    return Net(num_classes, in_channels, image_size, **options)

def number(a, b, c):
    return 3

def bare(a, b, c):
    return nn.LayerNorm(c)

def lazy(a, b, c):
    return nn.LazyLinear(a)

def normed(a, b, c):
    layer = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(b, 4, 3))
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(4 * (c - 2) ** 2, a))

def spectral(a, b, c):
    layer = torch.nn.utils.spectral_norm(nn.Conv2d(b, 4, 3))
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(4 * (c - 2) ** 2, a))
"""


@pytest.fixture
def net(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    return {"name": "net.py:net", "num_classes": 3, "in_channels": 3, "image_size": 8}


def test_weights_are_drawn_by_the_module_and_by_the_seed_alone(net):
    before = torch.get_rng_state()
    first, again, other = (initial_weights(net, generator(s, "initialise")) for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])
    assert not torch.equal(first["scale"], other["scale"])
    # PyTorch's own: uniform within 1 / sqrt(fan in).
    bound = 1 / first["head.weight"].shape[1] ** 0.5
    assert first["head.weight"].abs().max() <= bound
    assert float(first["head.weight"].std()) == pytest.approx(bound / 3**0.5, rel=0.1)
    assert torch.equal(first["norm.weight"], torch.ones(96))


def test_ours_is_an_option(net):
    ours = initial_weights({**net, "initial": "fan_out"}, generator(1, "initialise"))
    expected = initial_state(build_model(**net).state_dict(), generator(1, "initialise"))
    assert all(torch.equal(ours[name], expected[name]) for name in expected)


def test_a_saved_state_comes_back_whole(net):
    state = initial_weights(net, generator(1, "initialise"))
    model = model_with_state(net, state)
    assert model.tied is model.head and model.head.weight is model.tied.weight
    assert torch.equal(model.fixed, build_model(**net).fixed)
    assert all(torch.equal(t, state[name]) for name, t in model.state_dict().items())
    assert list(prunable(model)) == ["embed.weight", "depthwise.weight", "head.weight"]


def test_a_layer_of_two_names_has_one_in_its_state(net, tmp_path):
    """A check edits it under that name; under another, loading would undo the edit."""
    state = initial_weights(net, generator(1, "initialise"))
    assert "head.weight" in state and "tied.weight" not in state
    save_tensors(tmp_path / "w", state)
    assert state.keys() == load_tensors(tmp_path / "w")[0].keys()
    ones = {name: torch.ones_like(tensor) for name, tensor in state.items()}
    model = copy.deepcopy(build_model(**net))
    model.load_state_dict(ones)
    assert bool((model.head.weight == 1).all()) and model.tied is model.head
    assert model.state_dict().keys() == state.keys()
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({name: t for name, t in state.items() if name != "head.weight"})


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("number", "must return an nn.Module, not int"),
        ("bare", "has nothing to prune"),
        ("lazy", "weight is of a lazy layer"),
        ("normed", "the weight of 0 is no parameter of its own"),
        ("spectral", "the weight of 0 is no parameter of its own"),
        ("gone", "defines no function 'gone'"),
    ],
)
def test_what_is_no_network_is_refused(net, function, message):
    with pytest.raises(JackpotError, match=message):
        build_model(f"net.py:{function}", 3, 3, 8)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("shape", r"cannot take images of shape \(4, 3, 8, 8\): .*\n.*net.py"),
        ("wide", r"must give logits of shape \(4, 3\), one a class, and gives \(4, 4\)"),
        ("dict", "and gives dict"),
        ("idle", "parameters that get no gradient: idle.weight, idle.bias"),
    ],
)
def test_a_network_that_cannot_be_trained_is_refused(net, broken, message):
    model = build_model(**net, broken=broken)
    state = copy.deepcopy(model.state_dict())
    with pytest.raises(JackpotError, match=message):
        try_out("net.py:net", model, (3, 8, 8), 3)
    assert all(torch.equal(t, state[name]) for name, t in model.state_dict().items())


@pytest.mark.parametrize(("name", "side"), [("vgg11", 8), ("vgg5", 3)])
def test_a_network_whose_poolings_leave_nothing_is_refused(name, side, tmp_path):
    make_data(tmp_path / "clean", side=side)
    with pytest.raises(JackpotError, match=f"{name} cannot take images of shape"):
        initialise(tmp_path / "w", data=tmp_path / "clean", architecture=name, seed=0)
    assert not (tmp_path / "w").exists()


def test_a_classifier_that_is_not_defined_last_is_told(net, capsys):
    try_out("net.py:net", build_model(**net), (3, 8, 8), 3)
    assert capsys.readouterr().err == ""

    class Reversed(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.first = nn.Linear(4, 3), nn.Conv2d(1, 4, 8)

        def forward(self, x):
            return self.head(self.first(x).flatten(1))

    try_out("reversed", Reversed(), (1, 8, 8), 3)
    assert "uses head.weight last, and first.weight is defined last" in capsys.readouterr().err


def test_a_view_gets_contiguous_images(net):
    last = torch.channels_last
    images = torch.randn(5, 3, 8, 8).contiguous(memory_format=last)
    fine, views = build_model(**net), build_model(**net, broken="view")
    assert lay_out(fine, (3, 8, 8)) == last
    assert lay_out(views, (3, 8, 8)) == torch.contiguous_format
    expected = fine.to(memory_format=last)(images)
    torch.testing.assert_close(views(images), expected)


DROPOUT = """
from torch import nn

def net(classes, channels, size):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(size * size, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, classes)
    )
"""


def test_dropout_repeats_and_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(DROPOUT)
    monkeypatch.chdir(tmp_path)
    net = {"name": "net.py:net", "num_classes": 3, "in_channels": 1, "image_size": 8}
    data = make_data(tmp_path / "data")
    splits = [to_device(data, split, torch.device("cpu")) for split in ("train", "test")]
    settings = Training(epochs=3, batch_size=16, crop_padding=1, learning_rate=0.01)
    steps = []
    step = SGD.step

    def run(resume=None, stop_at=None):
        steps.clear()

        def counted(optimizer, lr):
            step(optimizer, lr)
            steps.append(lr)
            if len(steps) == stop_at:
                raise KeyboardInterrupt

        monkeypatch.setattr(SGD, "step", counted)
        model = model_with_state(net, initial_weights(net, generator(0, "initialise")))
        train(model, *splits, settings, seed=0, epochs=3, resume=resume)
        return model.state_dict()

    torch.manual_seed(1)
    whole = run()
    torch.manual_seed(2)
    again = run()
    path = tmp_path / "resume.safetensors"
    with pytest.raises(KeyboardInterrupt):
        run(ResumeFile(path, "f", minutes=1e-9), stop_at=9)
    resumed = run(ResumeFile(path, "f", minutes=None))
    assert len(steps) == 10  # of 18, the first 8 were saved
    for name, tensor in whole.items():
        assert torch.equal(tensor, again[name]) and torch.equal(tensor, resumed[name])


def test_layers_that_we_do_not_know_stay_as_they_are_made(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def net(classes, channels, size):\n"
        "    model = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.PReLU(), nn.Flatten(1, 2),\n"
        "        nn.Conv1d(24, 6, 3), nn.Flatten(), nn.Linear(24, classes))\n"
        "    model.register_buffer('blur', torch.full((1, 1, 3, 3), 1 / 9))\n"
        "    model.register_buffer('index', torch.arange(64).reshape(8, 8))\n"
        "    model.register_parameter('position', nn.Parameter(0.02 * torch.randn(5, 4)))\n"
        "    return model\n"
    )
    monkeypatch.chdir(tmp_path)
    net = {"name": "net.py:net", "num_classes": 3, "in_channels": 1, "image_size": 8}
    built = build_model(**net).state_dict()
    drawn = initial_weights({**net, "initial": "fan_out"}, generator(0))
    changed = {name for name in built if not torch.equal(built[name], drawn[name])}
    assert changed == {"0.weight", "0.bias", "5.weight", "5.bias"}


def test_a_size_of_two_numbers_is_a_tuple_also_when_it_comes_from_a_file(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(
        "from torch import nn\n"
        "def net(classes, channels, size):\n"
        "    assert size == (6, 8), size\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(channels * 48, classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    net = {"name": "net.py:net", "num_classes": 3, "in_channels": 1, "image_size": [6, 8]}
    state = initial_weights(net, generator(0))
    assert model_with_state(net, state).image_shape == (1, 6, 8)


def test_a_layer_that_is_left_out_at_random_may_be(net):
    class Skips(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(192, 8), nn.Linear(8, 3)
            self.middle = nn.Linear(8, 8)

        def forward(self, x):
            x = self.first(x.flatten(1))
            return self.last(x if torch.rand(()) < 0.5 else self.middle(x))

    try_out("net.py:skips", Skips(), (3, 8, 8), 3)


def test_what_is_no_layers_stays_where_the_study_draws_the_weights(net):
    """Zeros, which suit a bias, would make a scale cut the network in two."""
    description = {**net, "initial": "fan_in"}
    drawn = initial_weights(description, generator(0))
    assert torch.equal(drawn["scale"], build_model(**description).scale) and drawn["scale"].any()
    assert not drawn["head.bias"].any()
