"""What a study asks of the processor, through Snakemake."""

import pytest

from tests.support.snake import Clone

pytestmark = pytest.mark.workflow
EXPERIMENTS = [{"tickets": ["dense", "snip"], "sparsities": [0.8], "seeds": [0]}]


def test_bfloat16_that_would_be_emulated_is_refused_before_the_first_job(tmp_path, monkeypatch):
    """On any processor: one that may not use its instructions has none."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    training = {"epochs": 1, "precision": "bfloat16"}
    study = {"experiments": EXPERIMENTS, "training": training}
    clone = Clone(tmp_path / "c", study=study, device="cpu")
    run = clone.run_of("snip")
    status, text = clone.snakemake(f"{run}/metrics.json")
    assert status != 0, text
    assert "study.yaml: precision: bfloat16 is no instruction of this processor" in text
    assert "17 times" in text and "Traceback" not in text
    assert not list(clone.root.rglob("*.safetensors"))
    # What trains nothing is not refused.
    clone.make("data/digits/clean.safetensors")


@pytest.mark.parametrize("warm", [True, False])
def test_portable_arithmetic_reaches_jobs_before_torch_is_loaded(tmp_path, warm):
    study = {"experiments": EXPERIMENTS, "arithmetic": "portable"}
    clone = Clone(tmp_path / "c", study=study, warm_processes=warm)
    run = clone.run_of("snip")
    clone.make(f"{run}/metrics.json")
    assert clone.metrics(run)["versions"]["arithmetic"] == "portable"


def test_portable_arithmetic_on_a_gpu_is_refused_before_the_first_job(tmp_path):
    clone = Clone(
        tmp_path / "c", study={"experiments": EXPERIMENTS, "arithmetic": "portable"}, device="cuda"
    )
    status, text = clone.snakemake(f"{clone.run_of('snip')}/metrics.json")
    assert status != 0 and "arithmetic: portable gives the same bits on processors" in text, text
    assert "] Job " not in text and "Traceback" not in text
