"""A training goes on where one on the same kind of device stopped, and nowhere else."""

import argparse
import json
from types import SimpleNamespace

import pytest
import torch

from jackpot.machine import PORTABLE
from jackpot.running.arguments import forget_resume_files, resume_file_of, resume_path

CPU, GPU = torch.device("cpu"), SimpleNamespace(type="cuda")


@pytest.fixture
def kinds(monkeypatch):
    """A function that says which processor and GPU this machine has."""

    def be(processor, gpu=""):
        monkeypatch.setattr("jackpot.running.arguments.processor_name", lambda: processor)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: gpu)

    return be


def test_kinds_of_devices_save_apart(tmp_path, kinds):
    asked = tmp_path / "seed1.safetensors"
    kinds("AMD EPYC", "NVIDIA H200")
    one, gpu = resume_path(asked, CPU), resume_path(asked, GPU)
    kinds("Intel(R) Xeon(R) Processor", "NVIDIA A100-SXM4-40GB MIG 1g.5gb")
    other, slice_of_gpu = resume_path(asked, CPU), resume_path(asked, GPU)
    assert len({asked, one, gpu, other, slice_of_gpu}) == 5
    assert {path.parent for path in (one, gpu, other, slice_of_gpu)} == {tmp_path}
    assert slice_of_gpu.name == "seed1@NVIDIA-A100-SXM4-40GB-MIG-1g-5gb.safetensors"
    args = argparse.Namespace(resume_file=str(asked), resume_minutes=5, resume_epochs=None)
    assert resume_file_of(args, CPU).path == other
    assert resume_file_of(argparse.Namespace(resume_file=None), CPU) is None


def test_in_portable_arithmetic_all_go_on_alike(tmp_path, kinds, monkeypatch):
    for name, value in PORTABLE.items():
        monkeypatch.setenv(name, value)
    for name in ("AMD EPYC", "Intel(R) Xeon(R) Processor"):
        kinds(name)
        assert resume_path(tmp_path / "r", CPU) == tmp_path / "r"


@pytest.mark.parametrize("name", ["seed1.safetensors", "resume", "sparsity0.9.safetensors"])
def test_a_finished_training_leaves_none_of_any_kind(tmp_path, kinds, name):
    asked = tmp_path / name
    for kind in ("AMD EPYC", "Xeon"):
        kinds(kind)
        path = resume_path(asked, CPU)
        for suffix in (path.suffix, ".mask", ".other"):
            path.with_suffix(suffix).touch()
    asked.touch()
    # Of its neighbours, and what says that it is at work and that it has finished.
    kept = [tmp_path / f"{asked.stem}.lock", tmp_path / f"{asked.stem}5@Xeon.safetensors"]
    kept.append(tmp_path / f"{asked.stem}.finished")
    for path in kept:
        path.write_text(json.dumps("kept"))
    forget_resume_files(asked)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
    forget_resume_files(None)
