"""A study may keep no masks and starting weights, and yet the trained weights of every run."""

import pytest
import yaml
from safetensors import safe_open

from tests.support.snake import Clone

pytestmark = pytest.mark.workflow
TICKETS = ["dense", "snip", "weight_rewinding", "lottery_iterative"]
STUDY = {
    "pruners": {
        "magnitude_iterative": {"score": "magnitude", "weights": "trained", "iterations": 2}
    },
    "experiments": [
        {"tickets": TICKETS, "sparsities": [0.8], "seeds": [0]},
        {"tickets": ["snip"], "checks": ["corrupted_data"], "sparsities": [0.8], "seeds": [0]},
    ],
}


def test_masks_and_weights_go_and_nothing_is_left_to_do(tmp_path):
    clone = Clone(tmp_path / "spare", study=STUDY, keep_intermediate=False, keep_weights=True)
    clone.make(cores=2)
    results = clone.digests()
    assert (clone.root / "report.html").exists()
    # Data are kept: they are few, and every run's input.
    data = [f"data/digits/{name}.safetensors" for name in ("clean", "corrupted_data")]
    runs = [
        clone.run_of("dense", sparsity="0"),
        clone.run_of("snip"),
        clone.run_of("snip", "corrupted_data"),
        clone.run_of("weight_rewinding"),
        clone.run_of("lottery_iterative"),
    ]
    kept = [f"{run}/weights.safetensors" for run in runs]
    assert {path for path in results if path.endswith(".safetensors")} == {*data, *kept}
    for path in kept:
        with safe_open(clone.root / path, "pt") as file:
            assert len(list(file.keys())) > 5
    assert "Nothing to be done" in clone.make(cores=2)
    assert clone.digests() == results
    # To keep them no longer is no reason to train anything again.
    off = ["--config", "keep_weights=false"]
    assert "Nothing to be done" in clone.make(options=off, cores=2)
    (clone.root / kept[1]).unlink()
    clone.make(cores=2)
    assert clone.digests()[kept[1]] == results[kept[1]]
    # Weights of an earlier training do not stay beside the results of another.
    study = yaml.safe_load((clone.folder / "study.yaml").read_text())
    study["training"]["epochs"] += 1
    (clone.folder / "study.yaml").write_text(yaml.safe_dump(study))
    clone.make("runs.csv", options=off, cores=2)
    assert not [path for path in kept if (clone.root / path).exists()]
