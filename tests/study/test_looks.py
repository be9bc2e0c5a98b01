"""Which runs a study makes at which look."""

import itertools
import random

import pytest
import yaml

from jackpot.errors import JackpotError
from jackpot.study import load_study
from jackpot.study.looks import progress

STUDY = {
    "name": "small",
    "datasets": {"digits": {"kind": "digits"}},
    "models": {"vgg5": {"width": 4}},
    "training": {"epochs": 2},
    "statistics": {"margin": 2, "looks": [2, 3, 5]},
    "experiments": [{"tickets": ["dense", "snip"], "checks": ["rearranged"], "sparsities": [0.8]}],
}


def load(folder, **changes):
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, **changes}))
    return load_study(path)


def experiments(**changes):
    return [{**STUDY["experiments"][0], **changes}]


def test_seeds_are_those_of_the_last_look(tmp_path):
    runs = load(tmp_path).runs()
    assert {run.seed for run in runs} == set(range(5))
    assert len(runs) == 3 * 5


def test_the_order_of_seeds_is_the_studys(tmp_path):
    study = load(tmp_path, experiments=experiments(seeds=[9, 3, 7, 1, 5]))
    assert {run.seed for run in progress(study, lambda *_: None).runs} == {9, 3}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"statistics": {"looks": [5, 5]}}, "rising numbers of seeds"),
        ({"statistics": {"looks": [1, 5]}}, "from 2 on"),
        ({"statistics": {"looks": []}}, "rising numbers of seeds"),
        ({"statistics": {"looks": [2, 3], "shares": [0.5]}}, "one for each of the 2 look"),
        ({"statistics": {"looks": [2, 3], "shares": [0.7, 0.7]}}, "at most 1 in all"),
        ({"statistics": {"looks": [2, 3], "shares": [1.0, 0.0]}}, "above 0"),
        ({"statistics": {}}, r"experiments\[0\].seeds: this key is missing"),
        ({"experiments": experiments(seeds=[0, 1, 2])}, "3 seeds, where the last look"),
        ({"experiments": experiments(seeds=[0, 1, 2, 3, 3])}, "seeds: seed 3 is given twice"),
        (
            {
                "experiments": [
                    *experiments(seeds=[0, 1, 2, 3, 4]),
                    *experiments(seeds=[4, 3, 2, 1, 0]),
                ]
            },
            r"experiments\[1\].seeds: other seeds or another order",
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, changes, said):
    with pytest.raises(JackpotError, match=said):
        load(tmp_path, **changes)


def test_every_look_asks_only_for_what_the_one_before_left_open(tmp_path):
    """Against a count by hand, for random decisions."""
    tickets = ["dense", "snip", "random", "hybrid"]
    study = load(
        tmp_path, experiments=experiments(tickets=tickets, checks="all", sparsities=[0.8, 0.9])
    )
    looks, every = study.statistics.looks, sorted({run.cell for run in study.runs()})
    draws = random.Random(0)
    for made in itertools.product(range(4), range(20)):
        going_on, left = [], every
        for _ in range(made[0]):
            left = draws.sample(left, draws.randint(0, len(left)))
            going_on.append(set(left))
        at = progress(study, lambda k, _, made=(*going_on, None): made[k - 1])
        seeds = dict.fromkeys(every, looks[0])
        for look, cells in zip((1, 2), going_on, strict=False):
            seeds |= dict.fromkeys(cells, looks[look])
        expected = sorted((*cell, seed) for cell, n in seeds.items() for seed in range(n))
        assert sorted((*run.cell, run.seed) for run in at.runs) == expected


def test_a_study_without_looks_runs_everything_at_once(tmp_path):
    study = load(tmp_path, statistics={}, experiments=experiments(seeds=[4, 2]))
    at = progress(study, lambda *_: pytest.fail("there is no look to read"))
    assert at.runs == study.runs() and at.decided and not at.sentence(study)
