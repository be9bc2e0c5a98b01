"""The field's own tickets and pruners, and which checks apply to which ticket."""

import ast
import importlib.util
from functools import cache
from pathlib import Path

from jackpot.checks import CHECKS
from jackpot.pruning.allocation import allocation_names
from jackpot.pruning.scores import score_names
from jackpot.settings import Pruner, Ticket

PRUNERS: dict[str, Pruner] = {
    "random": Pruner(score="random", allocation="smart"),
    "snip": Pruner(score="snip"),
    "grasp": Pruner(score="grasp"),
    "synflow": Pruner(score="synflow", rounds=100),
    "magnitude": Pruner(score="magnitude", weights="trained"),
    "hybrid": Pruner(score="magnitude", allocation="smart", weights="trained"),
    # su2020's ablations of the smart ratios, and Erdos-Renyi-Kernel.
    **{
        f"random_{name}": Pruner(score="random", allocation=name)
        for name in ("uniform", "linear", "cubic", "ascending", "erk")
    },
    # Options of mlrc2020's random tickets: the last layer left dense, and whole filters.
    "random_dense_classifier": Pruner(
        score="random", allocation="smart", allocation_options={"classifier_density": 1.0}
    ),
    "random_structured": Pruner(score="random", allocation="smart", structured=True),
    # Frankle & Carbin 2019: 98 % in ten rounds removes a third of what is left each time.
    "magnitude_iterative": Pruner(score="magnitude", weights="trained", iterations=10),
}

TICKETS: dict[str, Ticket] = {
    "dense": Ticket(pruner=None),
    "lottery": Ticket(pruner="magnitude"),
    "weight_rewinding": Ticket(pruner="magnitude", weights="rewound", schedule="rewound"),
    "lr_rewinding": Ticket(pruner="magnitude", weights="trained", schedule="rewound"),
    "hybrid": Ticket(pruner="hybrid", weights="trained", schedule="rewound"),
    "hybrid_weight_rewinding": Ticket(pruner="hybrid", weights="rewound", schedule="rewound"),
    "lottery_iterative": Ticket(pruner="magnitude_iterative"),
    **{
        name: Ticket(pruner=name) for name, pruner in PRUNERS.items() if pruner.weights == "initial"
    },
}


def check_of_data(data: str) -> str:
    """The check that makes this version of the dataset; ``none`` for the clean one.

    A scope that an override gives to some pruners follows a dash: ``corrupted-rows``.
    """
    kind = data.partition("-")[0]
    return next(name for name, check in CHECKS.items() if check.data_name == kind)


def pretrains(ticket: Ticket, pruner: Pruner | None) -> bool:
    """Whether a ticket needs a trained network before it is pruned or started."""
    return ticket.weights != "initial" or (pruner is not None and pruner.weights == "trained")


def applicable_checks(ticket: Ticket, pruner: Pruner | None) -> list[str]:
    """The checks that have an ingredient of this ticket to spoil; ``none`` always is one.

    The dense network has no ticket to check. Data checks need a pruner that sees data, by its
    score or by pretraining; the half dataset is a check of pretraining (su2020, section 5).
    """
    if pruner is None:
        return ["none"]
    checks = [name for name, check in CHECKS.items() if check.spoils != "data"]
    if pretrains(ticket, pruner):
        return list(CHECKS)
    if score_uses_data(pruner.score):
        return [name for name in CHECKS if name in checks or name != "half_dataset"]
    return checks


def check_pruner(pruner: Pruner) -> None:
    """Refuse a pruner whose score or allocation does not exist.

    Raises:
        ValueError: naming the allowed values (pydantic adds the file and the key).
    """
    if ":" not in pruner.score and pruner.score not in score_names():
        raise ValueError(
            f"score {pruner.score!r} does not exist. Allowed: {', '.join(score_names())}, "
            "or your own function as file.py:function"
        )
    score_uses_data(pruner.score)
    allowed = ["global", *allocation_names()]
    if ":" not in pruner.allocation and pruner.allocation not in allowed:
        raise ValueError(
            f"allocation {pruner.allocation!r} does not exist. Allowed: {', '.join(allowed)}"
        )


@cache
def score_uses_data(score: str) -> bool:
    """Read ``USES_DATA = True|False`` in a score's file; True where it says nothing.

    The file is parsed, never imported: laying out a study must not import torch.
    """
    path, function = score_source(score)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"score {score!r}: {path} cannot be read: {error}") from None
    if not any(isinstance(n, ast.FunctionDef) and n.name == function for n in tree.body):
        raise ValueError(f"score {score!r}: {path} defines no function {function!r}")
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "USES_DATA" for target in node.targets
        ):
            return bool(ast.literal_eval(node.value))
    return True


def score_source(score: str) -> tuple[Path, str]:
    """The file and function of a score: built in, ``file.py:function`` or ``module:function``."""
    if ":" not in score:
        import jackpot.pruning.scores as scores

        return Path(scores.__file__).parent / f"{score}.py", score
    place, function = score.rsplit(":", 1)
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise ValueError(f"score {score!r}: there is no file {place}")
        return Path(place), function
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None:
        raise ValueError(f"score {score!r}: there is no module {place!r} to import")
    return Path(spec.origin), function
