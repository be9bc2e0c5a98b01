"""A small study as a file, for tests."""

import copy

import yaml

SMALL = {
    "name": "small",
    "datasets": {"digits": {"kind": "digits"}},
    "models": {"vgg5": {"width": 4}},
    "training": {"epochs": 4},
    "experiments": [
        {"tickets": ["dense", "snip"], "sparsities": [0.9], "seeds": [0]},
    ],
}


def written(tmp_path, **changes):
    values = {**copy.deepcopy(SMALL), **changes}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    return path
