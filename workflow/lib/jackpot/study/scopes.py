"""Options of checks: their scopes, and the versions of a dataset that they make.

A study may give some pruners another scope than the rest: mlrc2020's SNIP and GraSP code permute
pixels in two ways. Each version of the data is then kept, and its name carries the scope.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from jackpot.checks import Check, check_options, version_of_data
from jackpot.errors import JackpotError, did_you_mean

Options = Mapping[str, Mapping[str, Any]]


def data_of(check: Check, usual: Options, special: Iterable[Options]) -> str:
    """The name of the data under a check: ``corrupted_data``, or ``corrupted_data-rows``.

    Args:
        usual: the study's ``check_options``.
        special: those of the overrides that match a pruner; later ones win.
    """
    name = version_of_data(check)
    if name == "clean":
        return name
    scopes = check.editor("data").scopes
    scope = plain = usual.get(name, {}).get("scope", scopes[0] if scopes else None)
    for options in special:
        scope = options.get(name, {}).get("scope", scope)
    return name if scope == plain else f"{name}-{scope}"


def edits_of_ticket(check: Check) -> list[Check]:
    """The parts of a check that edit the ticket before it is trained: its mask or its weights.

    What a check of data or scores did is in the mask and the weights already.
    """
    return [part for part in check.parts if {"mask", "weights"} & {*part.edits}]


def check_of_data(data: str) -> str:
    """The check that makes this version of the dataset; ``none`` for the clean one.

    A scope that an override gives to some pruners follows a dash: ``corrupted_data-rows``.
    """
    name = data.partition("-")[0]
    return "none" if name == "clean" else name


def options_of_data(data: str, usual: Options) -> dict[str, Any]:
    """Options of the check that makes the data of this name."""
    usual = dict(usual.get(check_of_data(data), {}))
    scope = data.partition("-")[2]
    return {**usual, "scope": scope} if scope else usual


def check_scopes(options: Options, checks: Mapping[str, Check], where: str) -> None:
    """Refuse options of checks that are not among ``checks``, or that these do not have.

    Raises:
        ValueError: naming the allowed values (pydantic adds the file and the key).
    """
    for name, given in options.items():
        one_of(f"{where}check", name, checks)
        try:
            check_options(checks[name], given)
        except JackpotError as error:
            raise ValueError(f"{where}{error}") from None


def one_of(what: str, value: Any, allowed: Collection) -> None:
    """Refuse a value that is not allowed.

    Raises:
        ValueError: naming the value and what is allowed.
    """
    if value not in allowed:
        raise ValueError(
            f"{what} {value!r} does not exist.{did_you_mean(value, allowed)} "
            f"Allowed: {', '.join(map(str, allowed))}"
        )
