"""What each ticket needs, and the grid of verdicts."""

import pandas as pd

from jackpot.report.grid import grids, needs, questions, recipes
from jackpot.study.tickets import TICKETS
from tests.support.synthetic import verdict_rows


def test_does_the_ticket_need_it():
    verdicts = verdict_rows(
        ("snip", "random_labels", 0.9, "unaffected"),
        ("snip", "random_pixels", 0.9, "improved"),
        ("snip", "rearranged", 0.9, "unaffected"),
        ("snip", "rearranged", 0.98, "degraded"),
        ("lr_rewinding", "shuffled_weights", 0.9, "degraded"),
        ("lr_rewinding", "shuffled_weights", 0.98, "undecided"),
        ("lr_rewinding", "half_dataset", 0.9, "too_few_seeds"),
        ("mine", "rearranged", 0.9, "unaffected"),
    )
    found = needs(verdicts)
    columns = ["its data", "all of its data", "the mask's positions", "its weights"]
    assert found["columns"] == columns and not found["note"]
    kinds = {ticket: [a["kind"] for a in answers] for ticket, answers in found["rows"]}
    assert kinds == {
        "mine": ["none", "none", "no", "none"],
        "SNIP": ["no", "none", "depends", "none"],
        "learning-rate rewinding": ["none", "open", "none", "yes"],
    }
    # A reader's own pruner comes first.
    assert list(kinds) == ["mine", "SNIP", "learning-rate rewinding"]
    words = [a["word"] for a in found["rows"][2][1]]
    assert words == ["not run", "undecided", "not run", "yes, where decided"]
    applicable = {
        "mine": ["none", "rearranged", "reinitialized"],
        "snip": ["none", "random_labels", "random_pixels", "rearranged"],
    }
    found = needs(verdicts, applicable)
    words = [[a["word"] for a in answers] for _, answers in found["rows"]]
    no_data = "does not apply: made without data"
    assert words[0] == [no_data, no_data, "no", "not run"]
    assert words[1][1] == "does not apply: made without pretraining"


def test_a_change_beyond_doubt_and_within_the_margin_is_marked():
    verdicts = verdict_rows(
        ("snip", "rearranged", 0.9, "unaffected"),
        ("snip", "rearranged", 0.98, "unaffected"),
        ("snip", "reinitialized", 0.9, "unaffected"),
    ).assign(small=[True, False, True])
    (grid,) = grids(verdicts)
    shown = [cell["difference"] for _, lines in grid["rows"] for _, c in lines for cell in c[:1]]
    assert shown == ["-0.50*", "-0.50"]
    assert grid["notes"] == ["* a loss or a gain beyond doubt, smaller than the margin."]
    found = needs(verdicts)
    ((_, answers),) = found["rows"]
    assert found["note"].startswith("* ")
    assert [a["counts"] for a in answers] == ["2 unaffected (1 of them *)", "1 unaffected*"]


def test_every_ticket_says_how_it_is_made():
    runs = pd.DataFrame({"ticket": ["dense", "snip", "lr_rewinding", "mine", "gone"]})
    study = {
        "tickets": {"mine": {"pruner": "mine", "weights": "rewound"}},
        "pruners": {"mine": {"score": "mine.py:score", "allocation": "erk"}},
    }
    made = dict(recipes(runs, study))
    assert list(made) == ["mine", "SNIP", "learning-rate rewinding"]
    assert made["mine"] == (
        "pruned before training, by the score mine.py:score and the allocation erk; trained from "
        "an early epoch’s weights"
    )
    assert made["learning-rate rewinding"] == (
        "pruned after training, by the score magnitude and the allocation global; trained from "
        "the trained weights, with the learning rate of an early epoch on"
    )


def test_a_ticket_without_one_ranking_has_scores_all_the_same():
    verdicts = verdict_rows(
        ("snip", "inverted", 0.9, "undecided"), ("lottery_iterative", "rearranged", 0.9, "degraded")
    )
    applicable = {"snip": ["none", "inverted"], "lottery_iterative": ["none", "rearranged"]}
    (grid,) = grids(verdicts, applicable)
    note = "Does not apply: inverted to lottery iterative, made without one ranking."
    assert note in grid["notes"]
    words = dict(needs(verdicts, applicable)["rows"])["lottery iterative"]
    assert words[0]["word"] == "does not apply: made without one ranking"


def test_what_spoils_several_ingredients_at_once_has_a_column():
    found = needs(
        verdict_rows(
            ("lottery", "half_dataset+shuffled_weights", 0.9, "degraded"),
            ("lottery", "half_dataset", 0.9, "unaffected"),
        )
    )
    assert found["columns"] == ["all of its data", "data and weights"]
    assert [answer["word"] for answer in found["rows"][0][1]] == ["no", "yes"]


def test_the_grid_tells_not_run_from_does_not_apply():
    verdicts = verdict_rows(
        ("synflow", "rearranged", 0.9, "undecided"),
        ("synflow", "rearranged", 0.98, "degraded"),
        ("snip", "random_labels", 0.9, "unaffected"),
        ("lottery", "half_dataset", 0.9, "degraded"),
    )
    applicable = {
        "synflow": ["none", "rearranged"],
        "snip": ["none", "random_labels", "rearranged"],
        "lottery": ["none", "random_labels", "half_dataset", "rearranged"],
    }
    (grid,) = grids(verdicts, applicable)
    assert [head for head, _ in grid["checks"]] == ["random labels", "half dataset", "rearranged"]
    shown = {
        (ticket, sparsity): [cell if isinstance(cell, str) else cell["verdict"] for cell in cells]
        for ticket, lines in grid["rows"]
        for sparsity, cells in lines
    }
    no, not_yet = "does not apply", "not run"
    assert shown == {
        ("SNIP", "90 %"): ["unaffected", no, not_yet],
        ("SynFlow", "90 %"): [no, no, "undecided"],
        ("SynFlow", "98 %"): [no, no, "degraded"],
        ("lottery", "90 %"): [not_yet, "degraded", not_yet],
    }
    assert grid["notes"] == [
        "Does not apply: half dataset to SNIP, made without pretraining.",
        "Does not apply: random labels and half dataset to SynFlow, made without data.",
    ]
    (unknown,) = grids(verdicts)
    assert "does not apply" not in str(unknown)


def test_a_combination_applies_where_all_of_its_parts_do():
    both, pretrained = "random_labels+rearranged", "half_dataset+shuffled_weights"
    verdicts = verdict_rows(
        ("snip", both, 0.9, "undecided"),
        ("lottery", pretrained, 0.9, "degraded"),
        ("random", "rearranged", 0.9, "unaffected"),
    )
    applicable = {
        "snip": ["none", "random_labels", "rearranged", "shuffled_weights", both],
        "lottery": ["none", "random_labels", "rearranged", "half_dataset", both, pretrained],
        "random": ["none", "rearranged", "shuffled_weights"],
    }
    (grid,) = grids(verdicts, applicable)
    assert sorted(grid["notes"]) == [
        "Does not apply: half dataset + shuffled weights to SNIP, made without pretraining.",
        "Does not apply: random labels + rearranged and half dataset + shuffled weights to random, "
        "made without data.",
    ]
    found = needs(verdicts, applicable)
    assert found["columns"] == ["the mask's positions", "data and mask", "data and weights"]
    words = {ticket: [a["word"] for a in answers] for ticket, answers in found["rows"]}
    assert words["random"] == ["no", *["does not apply: made without data"] * 2]
    assert words["SNIP"] == ["not run", "undecided", "not run"]


def test_what_cannot_be_told_from_guessing_is_marked_and_answers_nothing():
    verdicts = verdict_rows(
        ("snip", "rearranged", 0.9, "degraded"),
        ("snip", "rearranged", 0.99, "unaffected"),
        ("mine", "rearranged", 0.99, "unaffected"),
    )
    guessing = {("d", "m", "snip", 0.99), ("d", "m", "mine", 0.99), ("e", "m", "snip", 0.9)}
    (grid,) = grids(verdicts, guessing=guessing)
    shown = {ticket: [sparsity for sparsity, _ in lines] for ticket, lines in grid["rows"]}
    assert shown == {"mine": ["99 % †"], "SNIP": ["90 %", "99 % †"]}
    assert grid["notes"] == ["† Cannot be told from guessing: words compare chance with chance."]
    found = needs(verdicts, guessing=guessing)
    answers = {ticket: (a["kind"], a["word"], a["counts"]) for ticket, (a,) in found["rows"]}
    assert answers == {
        "mine": ("none", "cannot be told from guessing", ""),
        "SNIP": ("yes", "yes", "1 degraded"),
    }
    assert not needs(verdicts.assign(small=[False, True, True]), guessing=guessing)["note"]
    (grid,) = grids(verdicts)
    assert not grid["notes"] and "†" not in str(grid)


def test_every_part_of_every_check_has_its_question_once():
    verdicts = verdict_rows(
        ("snip", "mine", 0.9, "unaffected"),
        ("snip", "mine+rearranged", 0.9, "unaffected"),
        ("snip", "rearranged", 0.9, "unaffected"),
    )
    asked = dict(questions(verdicts, {"mine": "Is it mine?"}))
    assert set(asked) == {"mine", "rearranged"} and asked["mine"] == "Is it mine?"
    assert asked["rearranged"].startswith("Does it matter which weights of a layer stay?")


def test_no_two_recipes_are_told_alike():
    runs = pd.DataFrame({"ticket": list(TICKETS)})
    told = dict(recipes(runs))
    assert len(told) == len(TICKETS) - 1, "all but the dense network"
    assert len(set(told.values())) == len(told)
    assert "in 60 rounds" in told["FORCE"] and "10 times" in told["lottery iterative"]
    assert "whole filters" in told["random structured"]
