"""What is promised of a run that is made again, and what is said where nothing is."""

import copy

import pytest

from jackpot.running.verify import Comparison, _compared, moved, promised
from jackpot.study.model import Run

RUN = Run("digits", "vgg5", "snip", "none", 0.9, 0)
RESULT = {
    "weights_sha256": "a",
    "test_accuracy": 95.0,
    "test_loss": 0.1,
    "best_test_accuracy": 96.0,
    "density": 0.1,
    "layers": [],
    "epochs": 3,
    "device": "AMD EPYC, 1 thread",
    "fingerprints": {"run": "c-s-i", "inputs": {"mask": "m"}},
    "versions": {
        "torch": "2.13.0+cpu",
        "python": "3.11.7",
        "platform": "Linux-1",
        "arithmetic": "native (AVX512)",
    },
}


def changed(**changes):
    result = copy.deepcopy(RESULT)
    for name, value in changes.items():
        place = result["versions"] if name in result["versions"] else result
        place[name] = value
    return result


ELSEWHERE = {"weights_sha256": "b", "test_accuracy": 94.0}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {"platform": "Linux-2"}, True),
        ({"python": "3.11.7"}, {"python": "3.13.0"}, True),
        ({}, {"arithmetic": "native (AVX2)"}, False),
        ({}, {"device": "Intel Xeon, 1 thread"}, False),
        ({}, {"torch": "2.14.0"}, False),
        ({"arithmetic": "portable"}, {"arithmetic": "portable", "device": "Xeon, 1 thread"}, True),
        (
            {"arithmetic": "portable"},
            {"arithmetic": "portable", "device": "Xeon, 2 threads"},
            False,
        ),
        ({"arithmetic": "portable"}, {"arithmetic": "portable", "device": "NVIDIA H100"}, False),
        ({}, {"device": "Xeon, 1 thread", "fingerprints": {"run": "other"}}, True),
    ],
)
def test_bits_are_promised_on_one_kind_of_processor_or_in_portable_arithmetic(old, new, expected):
    assert promised(changed(**old), changed(**new)) is expected


def test_other_bits_made_elsewhere_are_compared_by_accuracy():
    found = _compared(RUN, RESULT, changed(**ELSEWHERE, device="Xeon, 1 thread"), True)
    assert found.change == -1.0
    assert str(found).startswith("elsewhere") and "-1.00 points" in str(found)
    assert "AMD EPYC, 1 thread, now on Xeon, 1 thread" in str(found)


@pytest.mark.parametrize(
    "changes",
    [
        ELSEWHERE,
        {**ELSEWHERE, "device": "Xeon, 1 thread", "epochs": 4},
        {"test_accuracy": 94.0, "device": "Xeon, 1 thread"},
        {"weights_sha256": "b", "test_accuracy": None, "device": "Xeon, 1 thread"},
    ],
    ids=["same machine", "another length", "same weights", "diverged"],
)
def test_nothing_else_is_excused_by_another_processor(changes):
    found = _compared(RUN, RESULT, changed(**changes), True)
    assert found.change is None and str(found).startswith("different")


def test_a_shift_in_the_mean_is_told_from_chance():
    def after(*changes):
        return [Comparison(RUN, ["final weights"], [], change) for change in changes]

    assert not moved(after(1.0, -0.8, 0.3, -0.6))
    assert moved(after(-2.0, -2.2, -1.9, -2.1))
    assert not moved(after(-5.0, -5.0))  # two say nothing
