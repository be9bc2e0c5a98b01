"""The field's own tickets and pruners, and which checks apply to which ticket."""

from collections.abc import Mapping

from jackpot.checks import Check
from jackpot.pruning.allocation import check_allocation
from jackpot.pruning.scores import SCORES, revives, uses_data
from jackpot.registry import is_own
from jackpot.settings import Pruner, TicketRecipe

PRUNERS: dict[str, Pruner] = {
    "random": Pruner(score="random", allocation="smart"),
    "snip": Pruner(score="snip"),
    "grasp": Pruner(score="grasp"),
    "synflow": Pruner(score="synflow", rounds=100),
    # de Jorge et al. 2021: 60 rounds are those of their README's commands.
    "snip_iterative": Pruner(score="snip", rounds=60),
    "force": Pruner(score="force", rounds=60),
    # Wang et al. 2023: 20 rounds of 5 draws of weights, as in their script for CIFAR-10.
    "ntk_sap": Pruner(score="ntk_sap", score_options={"repeats": 5}, rounds=20),
    "magnitude_initial": Pruner(score="magnitude"),
    "magnitude": Pruner(score="magnitude", weights="trained"),
    "hybrid": Pruner(score="magnitude", allocation="smart", weights="trained"),
    # su2020's ablations of the smart ratios, Erdos-Renyi-Kernel, Gadhikar et al. 2023, and SNIP's
    # counts at random positions.
    **{
        f"random_{name}": Pruner(score="random", allocation=name)
        for name in ("uniform", "linear", "cubic", "ascending", "erk", "balanced", "pyramidal")
    },
    "random_snip": Pruner(score="random", allocation="snip"),
    # Liu et al. 2022, "The Unreasonable Effectiveness of Random Pruning", section 3.2.
    "random_erk_plus": Pruner(
        score="random", allocation="erk", allocation_options={"classifier_density": 1.0}
    ),
    # Options of mlrc2020's random tickets: the last layer left dense, and whole filters.
    "random_dense_classifier": Pruner(
        score="random", allocation="smart", allocation_options={"classifier_density": 1.0}
    ),
    "random_structured": Pruner(score="random", allocation="smart", structured=True),
    # Frankle & Carbin 2019: 98 % in ten rounds removes a third of what is left each time.
    "magnitude_iterative": Pruner(score="magnitude", weights="trained", iterations=10),
}

TICKETS: dict[str, TicketRecipe] = {
    "dense": TicketRecipe(pruner=None),
    "lottery": TicketRecipe(pruner="magnitude"),
    "weight_rewinding": TicketRecipe(pruner="magnitude", weights="rewound", schedule="rewound"),
    "lr_rewinding": TicketRecipe(pruner="magnitude", weights="trained", schedule="rewound"),
    "hybrid": TicketRecipe(pruner="hybrid", weights="trained", schedule="rewound"),
    "hybrid_weight_rewinding": TicketRecipe(pruner="hybrid", weights="rewound", schedule="rewound"),
    "lottery_iterative": TicketRecipe(pruner="magnitude_iterative"),
    **{
        name: TicketRecipe(pruner=name)
        for name, pruner in PRUNERS.items()
        if pruner.weights == "initial"
    },
}


def pretrains(ticket: TicketRecipe, pruner: Pruner | None) -> bool:
    """Whether a ticket needs a trained network before it is pruned or started."""
    return ticket.weights != "initial" or (pruner is not None and pruner.weights == "trained")


def applies(check: Check, ticket: TicketRecipe, pruner: Pruner | None) -> bool:
    """Whether a ticket has the ingredients that a check spoils; ``none`` always applies.

    The dense network has no ticket to check. Data checks need a pruner that sees data, by its
    score or by pretraining; some are checks of pretraining alone (su2020, section 5).
    """
    if pruner is None:
        return not check.edits
    if "scores" in check.edits and pruner.iterations > 1:
        # Training comes between the cuts: there is no one ranking to spoil.
        return False
    if "data" not in check.edits or pretrains(ticket, pruner):
        return True
    sees_data = uses_data(pruner.score) or (
        pruner.allocation in SCORES and uses_data(pruner.allocation)
    )
    return sees_data and not check.pretraining_only


def applicable_checks(
    ticket: TicketRecipe, pruner: Pruner | None, checks: Mapping[str, Check]
) -> list[str]:
    """Names of the checks that apply to a ticket, ``none`` first."""
    return [name for name, check in checks.items() if applies(check, ticket, pruner)]


def check_pruner(pruner: Pruner) -> None:
    """Refuse a pruner whose score or allocation does not exist, or lacks an option it is given.

    Raises:
        ValueError: naming the allowed values (pydantic adds the file and the key).
    """
    SCORES.check(pruner.score, pruner.score_options)
    uses_data(pruner.score)
    revives(pruner.score)
    options = dict(pruner.allocation_options)
    if (pruner.keep_classifier or pruner.structured) and is_own(pruner.allocation):
        # ``make_masks`` gives it this: the classifier is to be kept whole.
        options["classifier_density"] = 1.0
    check_allocation(pruner.allocation, options)
