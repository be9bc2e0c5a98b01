"""Portable arithmetic: the same bits wherever AVX2 is; and bfloat16 only where it is native."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from jackpot import machine
from jackpot.errors import JackpotError
from jackpot.machine import PORTABLE, require_bfloat16, restrict, restrictions
from jackpot.training.device import prepare_device
from tests.support import ROOT

PROGRAM = ROOT / "tests" / "support" / "portable.py"
# Made on an AMD EPYC with AVX2 and no more, and compared with other processors as
# docs/provenance.md says; by the version of torch in its name, whose builds agree.
KNOWN = Path(__file__).parent / "portable_digests-2.13.0.json"
IS_KNOWN = KNOWN.stem.endswith("-" + torch.__version__.partition("+")[0])
PLAIN = {name: value for name, value in os.environ.items() if name not in PORTABLE}


def digests(arithmetic, *networks, environment=None):
    done = subprocess.run(
        [sys.executable, PROGRAM, arithmetic, *networks],
        env={**PLAIN, "PYTHONPATH": str(ROOT / "workflow" / "lib"), **(environment or {})},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    versions, *found = map(json.loads, done.stdout.splitlines())
    return versions["arithmetic"], {name: value for part in found for name, value in part.items()}


def has_avx2():
    return "AVX" in torch.backends.cpu.get_cpu_capability() and platform.machine() == "x86_64"


@pytest.fixture(scope="module")
def portable():
    if not has_avx2():
        pytest.skip("portable arithmetic is x86-64's with AVX2")
    return digests("portable")


@pytest.mark.skipif(not IS_KNOWN, reason=f"digests are of {KNOWN.stem}")
def test_bits_are_those_of_other_processors(portable):
    arithmetic, found = portable
    assert arithmetic == "portable"
    known = json.loads(KNOWN.read_text())
    assert found == known, [name for name in known if found[name] != known[name]]


def test_variables_of_the_shell_give_the_same_bits_as_the_option(portable):
    arithmetic, every = portable
    left_out = {f"{network} trained" for network in ("resnet8", "resnet32", "vgg19")}
    one = (arithmetic, {name: every[name] for name in every if name not in left_out})
    assert digests("native", "vgg5", environment=PORTABLE) == one
    # A value of the shell's that says otherwise gives way.
    other = {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "AVX2"}
    assert digests("portable", "vgg5", environment=other) == one
    arithmetic, found = digests("native", "vgg5", environment=other)
    assert arithmetic == "native (DEFAULT ATEN_CPU_CAPABILITY=default MKL_CBWR=AVX2)"
    assert found != one[1]


def test_every_name_of_a_limit_is_recorded(monkeypatch):
    for name in (*PORTABLE, "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    assert restrictions() == ""
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    assert restrictions() == "DNNL_MAX_CPU_ISA=AVX2"


def test_too_late_is_said(monkeypatch):
    for name in PORTABLE:
        monkeypatch.delenv(name, raising=False)
    restrict("native")
    with pytest.raises(JackpotError, match="before torch is imported"):
        restrict("portable")


EMULATES = {"model name": "Old Xeon", "flags": "avx2 fma avx512f avx512bw"}


@pytest.mark.parametrize(
    ("described", "variables", "native"),
    [
        (EMULATES, {}, False),
        ({**EMULATES, "flags": "avx2 avx512f avx512_bf16"}, {}, True),
        ({**EMULATES, "flags": "avx2 amx_bf16"}, {}, True),
        ({**EMULATES, "flags": "avx512_bf16"}, {"ONEDNN_MAX_CPU_ISA": "AVX2"}, False),
        ({**EMULATES, "flags": "avx512_bf16"}, {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, False),
        ({**EMULATES, "flags": "avx512_bf16"}, {"DNNL_MAX_CPU_ISA": "avx512_core_amx"}, True),
        ({"Features": "fp asimd bf16"}, {}, True),
        ({}, {}, False),
    ],
)
def test_bfloat16_is_told_by_the_processor_and_what_it_may_use(
    monkeypatch, described, variables, native
):
    monkeypatch.setattr(machine, "_described", lambda: described)
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert machine.multiplies_bfloat16() is native
    if native:
        prepare_device("cpu", 1, "bfloat16")
    else:
        with pytest.raises(JackpotError, match="bfloat16 is no instruction of"):
            prepare_device("cpu", 1, "bfloat16")
    prepare_device("cpu", 1, "float32")


OLD, NEW = "0, GPU-aa11, 7.5", "1, GPU-bb22, 9.0"


@pytest.mark.parametrize(
    ("gpus", "visible", "refused"),
    [
        ([OLD], None, True),
        ([NEW], None, False),
        ([OLD, NEW], None, True),
        ([OLD, NEW], "1", False),
        ([OLD, NEW], "GPU-bb", False),
        ([OLD, NEW], "0, 1", True),
        ([OLD, NEW], "MIG-cc33", True),
    ],
)
def test_the_visible_gpus_are_asked(monkeypatch, tmp_path, gpus, visible, refused):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\ncat << END\n" + "\n".join(gpus) + "\nEND\n")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(machine, "_described", lambda: EMULATES)
    for device in ("cuda", "auto"):
        if refused:
            with pytest.raises(JackpotError, match=r"studies/x.yaml: .* compute capability 7.5"):
                require_bfloat16(device, "studies/x.yaml")
        else:
            require_bfloat16(device)
    with pytest.raises(JackpotError, match="Old Xeon"):
        require_bfloat16("cpu")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(JackpotError, match="Old Xeon"):
        require_bfloat16("auto")
