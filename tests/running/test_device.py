"""Which device a job computes on. The GPUs here are pretended."""

import os

import pytest
import torch

from jackpot.errors import JackpotError
from jackpot.machine import PORTABLE
from jackpot.running import device


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of compute capability 7.0, and a PyTorch that knows older ones too."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Old One")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_50", "sm_90a", "compute_120"])
    for name in PORTABLE:
        monkeypatch.delenv(name, raising=False)
    settings = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [each.allow_tf32 for each in settings]
    for each in settings:
        each.allow_tf32 = True
    yield
    for each, value in zip(settings, before, strict=True):
        each.allow_tf32 = value


def test_a_gpu_is_taken_where_there_is_one_and_float32_is_no_tf32(gpu):
    assert device.chosen_device("auto").type == "cuda"
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    assert device.chosen_device("cpu").type == "cpu"


def test_portable_arithmetic_stays_on_the_processor(gpu, monkeypatch):
    for name, value in PORTABLE.items():
        monkeypatch.setenv(name, value)
    assert device.chosen_device("auto").type == "cpu"
    with pytest.raises(JackpotError, match=r"device: cuda is none\. Set device: auto or cpu"):
        device.chosen_device("cuda")


@pytest.mark.parametrize(
    ("asked", "arithmetic", "hidden"),
    [("cpu", {}, True), ("auto", {}, False), ("cuda", {}, False), ("auto", PORTABLE, True)],
)
def test_a_job_on_the_processor_sees_no_gpu(gpu, monkeypatch, asked, arithmetic, hidden):
    """PyTorch's question for cuDNN's version fails at a GPU that is older than this cuDNN."""
    monkeypatch.setattr(device, "lease_device", lambda chosen: chosen)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for name, value in arithmetic.items():
        monkeypatch.setenv(name, value)
    assert (device.job_device(asked).type == "cpu") == hidden
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ("-1" if hidden else "0")


def test_a_gpu_that_pytorch_has_no_code_for_is_refused(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_120"])
    with pytest.raises(JackpotError, match=r"Old One has compute capability 7.0, .* 7.5 and newer"):
        device.chosen_device("auto")
