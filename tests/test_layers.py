"""The layers that have a faster form on the CPU: the same function, and the same bits each time."""

import multiprocessing
import shutil
import subprocess

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jackpot.models import batch_norm, build_model
from jackpot.models.batch_norm import BatchNorm2d
from jackpot.models.convolution import Conv2d
from jackpot.randomness import generator

LAST = torch.channels_last
needs_library = pytest.mark.skipif(
    batch_norm.compiled() is None and shutil.which("cc") is None,
    reason="batch_norm.c was not built: there is no C compiler",
)


def draw(*shape, dtype=torch.float64, key="x"):
    values = torch.randn(shape, generator=generator(0, "layers", key, *shape)).to(dtype)
    return values.contiguous(memory_format=LAST) if len(shape) == 4 else values


SMALL = [  # image, kernel, padding: every output pixel sees every input pixel
    ((2, 2), (3, 3), (1, 1)),
    ((1, 1), (3, 3), (1, 1)),
    ((1, 2), (3, 3), (1, 1)),
    ((3, 2), (5, 3), (2, 1)),
    ((2, 3), (5, 5), (2, 2)),
    ((1, 1), (1, 1), (0, 0)),
    ((3, 3), (3, 3), (0, 0)),
]
LARGER = [
    ((3, 3), (3, 3), (1, 1)),
    ((2, 3), (3, 3), (1, 1)),
    ((4, 4), (3, 3), (1, 1)),
    ((2, 2), (1, 1), (0, 0)),
    ((2, 2), (3, 3), (2, 2)),
]


@pytest.mark.parametrize(("image", "kernel", "padding"), SMALL + LARGER)
def test_which_images_a_kernel_sees_whole(image, kernel, padding):
    """Against a count: a kernel of ones over an image of ones gives the number of pixels seen."""
    layer = Conv2d(1, 1, kernel, padding=padding, bias=False)
    pixels = F.conv2d(torch.ones(1, 1, *image), torch.ones(1, 1, *kernel), padding=padding)
    every_pixel = bool((pixels == image[0] * image[1]).all())
    assert layer._sees_everything(torch.Size((1, 1, *image))) == every_pixel
    assert every_pixel == ((image, kernel, padding) in SMALL)


@pytest.mark.parametrize(("image", "kernel", "padding"), SMALL + LARGER)
@pytest.mark.parametrize("bias", [False, True])
def test_a_convolution_and_its_derivatives(image, kernel, padding, bias):
    layer = Conv2d(3, 5, kernel, padding=padding, bias=bias).double().to(memory_format=LAST)
    x = draw(4, 3, *image).requires_grad_()

    def through(function):
        y = function(x)
        first = torch.autograd.grad(
            y, (x, layer.weight), draw(*y.shape, key="g"), create_graph=True
        )
        squares = sum((value**2).sum() for value in first)
        return y, *first, *torch.autograd.grad(squares, (x, layer.weight))

    expected = through(lambda x: F.conv2d(x, layer.weight, layer.bias, padding=padding))
    for ours, theirs in zip(through(layer), expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2, "padding": 1},
        {"groups": 2, "padding": 1},
        {"dilation": 2, "padding": 2},
        {"padding": "same"},
        {"padding": 1, "padding_mode": "circular"},
    ],
)
def test_other_convolutions_are_pytorchs(options):
    layer = Conv2d(4, 4, 3, **options).double()
    x = draw(3, 4, 2, 2)
    torch.testing.assert_close(layer(x), nn.Conv2d.forward(layer, x), rtol=0, atol=0)


@pytest.mark.parametrize(("image", "kernel", "padding"), LARGER)
def test_gradients_of_a_convolution_of_few_pixels_in_bfloat16(image, kernel, padding):
    """As far from float64's as PyTorch's own are."""
    layer = Conv2d(8, 16, kernel, padding=padding, bias=False).to(memory_format=LAST)
    exact = nn.Conv2d.forward
    x = draw(6, 8, *image).bfloat16().requires_grad_()

    def gradients(function, dtype):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            y = function(layer.to(dtype if dtype == torch.float64 else torch.float32), x.to(dtype))
        steps = draw(*y.shape, key="g").bfloat16().to(dtype)
        return [g.double() for g in torch.autograd.grad(y, (x, layer.weight), steps)]

    ours = gradients(Conv2d.forward, torch.bfloat16)
    theirs = gradients(exact, torch.bfloat16)
    for a, b, c in zip(ours, theirs, gradients(exact, torch.float64), strict=True):
        assert (a - c).norm() < 1.2 * (b - c).norm() + 1e-6 * c.norm()


def test_the_layout_and_type_of_the_images_are_kept():
    layer = Conv2d(3, 5, 3, padding=1)
    x = draw(4, 3, 2, 2, dtype=torch.float32)
    assert layer(x).is_contiguous(memory_format=LAST)
    assert layer(x.contiguous()).is_contiguous()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == nn.Conv2d.forward(layer, x).dtype == torch.bfloat16


def normalised(layer, x, shortcut, gradient):
    """Output, gradients and running statistics of one call in the layer's own precision."""
    dtype = torch.float64 if layer.weight.dtype == torch.float64 else torch.bfloat16
    x = x.to(dtype).detach().requires_grad_()
    shortcut = shortcut.to(dtype).detach().requires_grad_() if shortcut is not None else None
    y = layer(x, shortcut)
    y.backward(gradient.to(dtype))
    values = {"y": y, "x": x.grad, "weight": layer.weight.grad, "bias": layer.bias.grad}
    if shortcut is not None:
        values["shortcut"] = shortcut.grad
    return {name: value.detach() for name, value in (values | dict(layer.named_buffers())).items()}


def make_layer(channels, relu, kind):
    layer = BatchNorm2d(channels, relu=relu)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(draw(channels, key=name))
    if kind == "pytorch":
        layer._can_be_compiled = lambda *_: False
    return layer.double() if kind == "exact" else layer


def images(count, channels, side, key="x"):
    """bfloat16 values about a mean that differs from channel to channel."""
    values = 3 * draw(count, channels, side, side, key=key) + draw(channels, key="m")[:, None, None]
    return values.bfloat16().contiguous(memory_format=LAST)


@needs_library
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize(
    ("count", "channels", "side"), [(64, 32, 16), (37, 48, 5), (2, 16, 1), (130, 16, 3)]
)
def test_compiled_batch_norm_is_as_exact_as_bfloat16_can_be(relu, adds, count, channels, side):
    """Against float64; PyTorch's own functions round once more and are no closer."""
    x = images(count, channels, side)
    shortcut = images(count, channels, side, "s") if adds else None
    gradient = images(count, channels, side, "g")
    found = {
        kind: normalised(make_layer(channels, relu, kind), x, shortcut, gradient)
        for kind in ("compiled", "pytorch", "exact")
    }
    assert found["compiled"]["num_batches_tracked"] == 1
    # Where rounding decides on which side of zero an output lies, so does its gradient.
    sides = {kind: values["y"] > 0 for kind, values in found.items()}
    if relu:
        assert (sides["compiled"] != sides["exact"]).float().mean() < 0.002
    for name, exact in found["exact"].items():
        if name == "num_batches_tracked":
            continue
        error = {
            kind: float((found[kind][name].double() - exact).norm() / exact.norm())
            for kind in ("compiled", "pytorch")
        }
        rounding = 2.0**-8 if name in ("y", "x", "shortcut") else 2.0**-16
        assert error["compiled"] < max(rounding, 1.5 * error["pytorch"]), name


def bits_with(threads):
    torch.set_num_threads(threads)
    x, gradient = images(100, 32, 9), images(100, 32, 9, "g")
    found = normalised(make_layer(32, True, "compiled"), x, x, gradient)
    return {name: value.double().numpy().tobytes() for name, value in found.items()}


@needs_library
def test_the_same_bits_with_any_number_of_threads():
    # In a process of its own: a process that has had threads must not fork, as other tests do.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map(bits_with, (1, 2, 3, 5))
    assert all(other == found[0] for other in found)


@needs_library
@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_the_same_bits_with_any_width_of_vectors(tmp_path, monkeypatch):
    source = batch_norm.__file__.replace(".py", ".c")
    library = tmp_path / "plain.so"
    flags = ["-O1", "-ffp-contract=off", "-Wno-psabi", "-DONE_TARGET", "-shared", "-fPIC"]
    subprocess.run(["cc", *flags, source, "-o", library, "-lm"], check=True)
    x, gradient = images(100, 32, 9), images(100, 32, 9, "g")
    before = normalised(make_layer(32, True, "compiled"), x, x, gradient)
    plain = (batch_norm.ctypes.CDLL(str(library)), None, None)
    monkeypatch.setattr(batch_norm, "compiled", lambda: plain)
    after = normalised(make_layer(32, True, "compiled"), x, x, gradient)
    assert all(torch.equal(before[name], after[name]) for name in before)


@needs_library
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_a_number_is_not_hidden(value):
    """A training that diverges must be seen to: ReLU makes no zero of NaN."""
    x = images(8, 16, 4)
    x[3, 5, 2, 1] = value
    layer = make_layer(16, True, "compiled")
    y = layer(x)
    assert y[:, 5].isnan().all() and y[:, :5].isfinite().all()
    assert not layer.running_mean[5].isfinite()


def test_when_pytorch_normalises():
    x = images(8, 32, 4)
    layer = make_layer(32, True, "compiled")
    assert layer._can_be_compiled(x, None) == (batch_norm.compiled() is not None)
    assert not layer._can_be_compiled(x.float(), None)
    assert not layer._can_be_compiled(x.contiguous(), None)
    assert not layer._can_be_compiled(x, x[:, :, :2])
    assert not make_layer(24, True, "compiled")._can_be_compiled(images(8, 24, 4), None)
    assert not layer.eval()._can_be_compiled(x, None)


@needs_library
def test_the_library_is_there_where_it_could_be_built():
    assert batch_norm.compiled() is not None
    assert batch_norm.compiled()[1], "PyTorch's OpenMP was not found"


@needs_library
@pytest.mark.parametrize("name", ["vgg5", "resnet8"])
def test_networks_train_with_it(name, monkeypatch):
    """Its loss falls along with that of PyTorch's functions."""
    x, labels = images(64, 3, 8), torch.arange(64) % 10

    def losses():
        torch.manual_seed(0)
        model = build_model(name, width=16).to(memory_format=LAST)
        optimiser, found = torch.optim.SGD(model.parameters(), 0.1), []
        for _ in range(20):
            with torch.autocast("cpu", torch.bfloat16):
                loss = F.cross_entropy(model(x), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            found.append(loss.item())
        return found

    ours, again = losses(), losses()
    monkeypatch.setattr(batch_norm, "compiled", lambda: None)
    theirs = losses()
    assert ours == again != theirs
    assert ours[-1] < 0.8 * ours[0]
    assert abs(ours[-1] - theirs[-1]) < 0.1 * ours[0]
