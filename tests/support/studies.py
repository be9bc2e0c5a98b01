"""A small study as a file, for tests."""

import copy

import pytest
import yaml

from jackpot.errors import JackpotError
from jackpot.study import load_study

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


def message(tmp_path, **changes):
    """What is said of a study that is refused; it begins with the file."""
    with pytest.raises(JackpotError) as error:
        load_study(written(tmp_path, **changes))
    text = str(error.value)
    assert text.startswith(str(tmp_path / "study.yaml"))
    return text


def changed(before, after):
    """Names of which the values differ."""
    return {name for name in before if before[name] != after[name]}
