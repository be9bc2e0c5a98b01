"""The layers that take another way on the CPU: the same function."""

import copy
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jackpot.errors import JackpotError
from jackpot.models import build_model, prunable
from jackpot.models.convolution import Conv2d, SparsePixels, _taps, protect
from jackpot.randomness import generator

LAST = torch.channels_last


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


def test_what_is_kept_for_the_next_call_is_of_no_callers_mode_or_device():
    _taps.cache_clear()
    layer, x = Conv2d(3, 5, 3, padding=1), draw(4, 3, 2, 2, dtype=torch.float32)
    with torch.inference_mode(), torch.device("meta"):
        first = layer(x)
    second = layer(x)
    second.sum().backward()
    assert torch.equal(first, second.detach()) and layer.weight.grad.abs().sum() > 0


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


def test_the_layout_and_type_of_the_images_are_kept():
    layer = Conv2d(3, 5, 3, padding=1)
    x = draw(4, 3, 2, 2, dtype=torch.float32)
    assert layer(x).is_contiguous(memory_format=LAST)
    assert layer(x.contiguous()).is_contiguous()
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == nn.Conv2d.forward(layer, x).dtype == torch.bfloat16


# As on a processor with AVX2 and no AVX-512, where oneDNN's strided 1x1 convolution is at fault.
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


def strided_errors(channels, sizes, threads, safe, layouts=(LAST, torch.contiguous_format)):
    """The largest error, against float64, of outputs and gradients of strided 1x1 convolutions."""
    torch.set_num_threads(threads)
    worst = 0.0
    for inputs in channels:
        layer = nn.Conv2d(inputs, 2 * inputs, 1, stride=2)
        layer = protect(layer) if safe else layer
        exact = copy.deepcopy(layer).double()
        exact.__class__ = nn.Conv2d
        for size in sizes:
            for layout in layouts:
                x = draw(8, inputs, size, size, dtype=torch.float32).contiguous(
                    memory_format=layout
                )
                found = []
                for form, dtype in ((layer, torch.float32), (exact, torch.float64)):
                    form.to(memory_format=layout)
                    at = x.to(dtype, memory_format=torch.contiguous_format)
                    at = (x if dtype == torch.float32 else at).requires_grad_()
                    y = form(at)
                    step = draw(*y.shape, key="g").to(dtype).contiguous(memory_format=layout)
                    found.append((y, *torch.autograd.grad(y, (at, *form.parameters()), step)))
                for ours, theirs in zip(*found, strict=True):
                    worst = max(worst, float((ours - theirs).norm() / theirs.norm()))
    return worst


def in_a_process(*arguments, seconds=300):
    """``strided_errors`` under ``AVX2``, in a process that may crash, hang, or start threads."""
    code = f"from {__name__} import strided_errors as e; print(e(*{arguments!r}))"
    paths = [os.getcwd(), *sys.path]
    environment = os.environ | AVX2 | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)


@pytest.mark.parametrize("threads", [1, 2])
def test_strided_1x1_convolutions_are_exact(threads):
    channels = (1, 2, 3, 4, 5, 6, 7, 8, 16, 23, 32, 40)
    done = in_a_process(channels, (2, 3, 8, 17, 32), threads, True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-5


@pytest.mark.parametrize("threads", [1, 2])
def test_the_fault_of_pytorchs_strided_convolution_is_not_ours(threads):
    """Wrong gradients, a crash or a hang of PyTorch's own; none of ours for the same shapes."""
    shapes = ((4, 7), (32,), threads)
    try:
        # A few seconds of work, or for ever.
        theirs = in_a_process(*shapes, False, seconds=30)
        faulty = theirs.returncode != 0 or not float(theirs.stdout) < 1e-3
    except subprocess.TimeoutExpired:
        faulty = True
    if not faulty:
        pytest.skip(f"PyTorch {torch.__version__} shows no fault here with {threads} threads")
    ours = in_a_process(*shapes, True)
    assert ours.returncode == 0, ours.stderr
    assert float(ours.stdout) < 1e-5


def test_which_convolutions_are_protected():
    class Own(nn.Conv2d):
        pass

    safe = [
        nn.Conv2d(8, 4, 1, stride=2),
        nn.Conv2d(8, 4, 1, stride=(1, 3), padding="valid", groups=2),
        nn.Conv2d(8, 4, 1, stride=2, padding=1),
        nn.Conv2d(8, 4, 1, stride=(2, 3), padding=(2, 1), padding_mode="circular"),
    ]
    others = [
        nn.Conv2d(8, 4, 1),
        nn.Conv2d(8, 4, 3, stride=2),
        Own(8, 4, 1, stride=2),
    ]
    kinds = [type(layer) for layer in others]
    model = nn.ModuleList(safe + others).double()
    expected = [layer(draw(2, 8, 7, 8)) for layer in model]
    state = model.state_dict()
    assert protect(model) is model
    assert [type(layer) for layer in model] == [*[SparsePixels] * len(safe), *kinds]
    assert model.state_dict().keys() == state.keys()
    for layer, before in zip(model, expected, strict=True):
        torch.testing.assert_close(layer(draw(2, 8, 7, 8)), before, rtol=1e-12, atol=1e-12)


def test_what_cannot_be_protected_is_refused_by_the_layers_name():
    class Own(nn.Conv2d):
        pass

    model = nn.Sequential(nn.Identity(), nn.Sequential(Own(14, 4, 1, stride=2, groups=2)))
    with pytest.raises(JackpotError, match=r"^1\.0 is a strided 1x1 convolution of class Own"):
        protect(model)


def test_the_shortcuts_of_a_resnet_are_protected():
    model = build_model("resnet8", width=4)
    protected = [n for n, layer in model.named_modules() if isinstance(layer, SparsePixels)]
    assert protected == ["blocks.1.shortcut.0", "blocks.2.shortcut.0"]
    assert {f"{name}.weight" for name in protected} <= prunable(model).keys()
