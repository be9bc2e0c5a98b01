"""A study may keep no masks and weights."""

import pytest

from tests.support.snake import Clone

pytestmark = pytest.mark.workflow
STUDY = {
    "experiments": [
        {"tickets": ["dense", "snip", "weight_rewinding"], "sparsities": [0.8], "seeds": [0]},
        {"tickets": ["snip"], "checks": ["corrupted_data"], "sparsities": [0.8], "seeds": [0]},
    ]
}


def test_masks_and_weights_go_and_nothing_is_left_to_do(tmp_path):
    clone = Clone(tmp_path / "spare", study=STUDY, keep_intermediate=False)
    clone.make(cores=2)
    results = clone.digests()
    assert (clone.root / "report.html").exists()
    left = sorted(path for path in results if path.endswith(".safetensors"))
    # Data are kept: they are few, and every run's input.
    assert left == ["data/digits/clean.safetensors", "data/digits/corrupted_data.safetensors"]
    assert "Nothing to be done" in clone.make(cores=2)
    assert clone.digests() == results
