"""Sanity checks: each spoils one ingredient of a ticket, or several, and leaves the rest alone.

If accuracy survives, the method never used that ingredient (su2020, section 3). A check is a file
of this folder with a ``QUESTION`` and one or more of these pure functions; one that is not there
is the identity:

- ``data(images, labels, generator, *, classes, **options)``: the ``(images, labels)`` that the
  pruner sees, ``images`` (N, C, H, W) of any dtype and ``labels`` (N,);
- ``scores(scores, generator, **options)``: the scores that the mask is cut by, name -> scores,
  higher = keep; every layer keeps as many weights as it would without the check;
- ``mask(mask, generator, **options)``: the mask of the ticket, name -> bool, True = kept;
- ``weights(weights, mask, generator, *, fresh, **options)``: its starting weights, a whole
  ``state_dict``, not yet masked; ``fresh(generator)`` draws initial weights of the model.

``classes`` and ``fresh`` are given to an edit that has them. Any other keyword is an option;
``SCOPES``, if there are variants, names the values of ``scope``, the default first.

A study's own check is such a file (``mine.py``), or in a file (``mine.py:flipped``) a class that
holds them or one function, whose first parameter says what it edits: ``images``, ``scores``,
``mask`` or ``weights``. Two checks of different ingredients make one,
``half_dataset+shuffled_weights``. Listing the checks imports none of them, nor torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jackpot.errors import JackpotError
from jackpot.registry import is_own
from jackpot.registry.edits import EditFiles, require_alike

if TYPE_CHECKING:
    import torch

    Data = tuple[torch.Tensor, torch.Tensor]
    Scores = dict[str, torch.Tensor]
    Mask = dict[str, torch.Tensor]
    Weights = dict[str, torch.Tensor]
    Fresh = Callable[[torch.Generator], Weights]

# How many arguments an edit is called with by position, and what it is given if it has it.
_ARGUMENTS = {"data": 3, "scores": 2, "mask": 2, "weights": 3}
EDITS = tuple(_ARGUMENTS)
_GIVEN = ("classes", "fresh")
_FIRST = {"images": "data", "scores": "scores", "mask": "mask", "weights": "weights"}
# Scores make the mask: they are one ingredient.
_INGREDIENTS = (("data",), ("scores", "mask"), ("weights",))
JOIN = "+"


@dataclass(frozen=True)
class Ticket:
    """What is trained: a mask (True = kept) and starting weights (a whole ``state_dict``)."""

    mask: Mask
    weights: Weights


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: as in studies and result paths; also of the version of the data that it makes.
        question: what the check asks, in plain words.
        edits: which of ``EDITS`` it is not the identity for, in their order.
        scopes: variants of the edit, the default first; empty where there is one only.
        options: names of all its options.
        required: names of those that have no default.
        pretraining_only: it does not apply to a ticket that only shows its score a batch.
        source: the built-in file's name, or a user's ``file.py:function``.
    """

    name: str
    question: str
    edits: tuple[str, ...]
    scopes: tuple[str, ...]
    options: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    pretraining_only: bool = False
    source: str = ""

    @property
    def spoils(self) -> str:
        """``data``, ``scores``, ``mask``, ``weights``, several of them, or ``nothing``."""
        return " and ".join(self.edits) or "nothing"

    @property
    def parts(self) -> tuple[Check, ...]:
        """The checks that it is made of; itself, if it is not a combination."""
        return (self,)

    def editor(self, part: str) -> Check | None:
        """The check that edits ``part``; None where nothing does."""
        return next((check for check in self.parts if part in check.edits), None)

    @property
    def code(self) -> str:
        """Fingerprint of its code."""
        return CHECKS.code(self.source or self.name)

    def data(
        self,
        data: Data,
        generator: torch.Generator,
        *,
        classes: int | None = None,
        **options: Any,
    ) -> Data:
        """The ``(images (N, C, H, W) of any dtype, labels (N,))`` that the pruner sees.

        Args:
            classes: number of classes; by default the largest label plus one.
            options: the check's own, e.g. ``scope``, one of ``scopes``.
        """
        images, labels = data
        classes = int(labels.max()) + 1 if classes is None else classes
        return self._edited("data", data, (images, labels, generator), options, classes=classes)

    def scores(self, scores: Scores, generator: torch.Generator, **options: Any) -> Scores:
        """The scores that the mask is cut by: name -> scores of any shape, higher = keep."""
        return self._edited("scores", scores, (scores, generator), options)

    def mask(self, mask: Mask, generator: torch.Generator, **options: Any) -> Mask:
        """The mask of the ticket: name -> bool, True = kept."""
        return self._edited("mask", mask, (mask, generator), options)

    def weights(
        self,
        weights: Weights,
        mask: Mask,
        generator: torch.Generator,
        *,
        fresh: Fresh | None = None,
        **options: Any,
    ) -> Weights:
        """The starting weights of the ticket, a whole ``state_dict``, not yet masked.

        Args:
            mask: names of the layers it prunes, True = kept.
            fresh: draws initial weights of the model; by default ``initial_state``.
            options: the check's own, e.g. ``scope``, one of ``scopes``.
        """
        arguments = (weights, mask, generator)
        return self._edited("weights", weights, arguments, options, fresh=fresh)

    def ticket(
        self,
        ticket: Ticket,
        mask_draws: torch.Generator,
        weights_draws: torch.Generator,
        *,
        fresh: Fresh | None = None,
        **options: Any,
    ) -> Ticket:
        """The ticket with its mask edited, and then its weights under that mask."""
        mask = self.mask(ticket.mask, mask_draws, **options)
        weights = self.weights(ticket.weights, mask, weights_draws, fresh=fresh, **options)
        return Ticket(mask, weights)

    def _edited(self, part: str, unchanged, arguments: tuple, options: Mapping, **given):
        if part not in self.edits:
            return unchanged
        check_options(self, options)
        edit, signature = CHECKS.edit(self.source or self.name, part)
        if self.scopes:
            options = {"scope": self.scopes[0], **options}
        chosen = {**given, **options}
        known = signature.options(_ARGUMENTS[part])
        chosen = {key: chosen[key] for key in chosen if key in known}
        if not is_own(self.source):
            return edit(*arguments, **chosen)
        from jackpot.randomness import seeded  # torch, which whoever lists the checks need not have

        # An edit that ignores its generator draws from the global ones.
        with seeded(arguments[-1].initial_seed()):
            edited = edit(*arguments, **chosen)
        require_alike(f"check {self.name} ({self.source})", part, unchanged, edited)
        return edited


@dataclass(frozen=True)
class Combination(Check):
    """Several checks of different ingredients as one, in the order of ``EDITS``."""

    members: tuple[Check, ...] = ()

    @property
    def parts(self) -> tuple[Check, ...]:
        """The checks that it is made of."""
        return self.members

    @property
    def code(self) -> str:
        """Fingerprint of the code of all of them."""
        return " ".join(check.code for check in self.members)

    def _edited(self, part: str, unchanged, arguments: tuple, options: Mapping, **given):
        if unknown := set(options).difference(*(check.options for check in self.members)):
            raise JackpotError(f"check {self.name} has no option {', '.join(sorted(unknown))}")
        check = self.editor(part)
        if check is None:
            return unchanged
        own = {key: value for key, value in options.items() if key in check.options}
        return check._edited(part, unchanged, arguments, own, **given)


def check_options(check: Check, options: Mapping[str, Any]) -> None:
    """Refuse options that a check does not have, and scopes that do not exist."""
    if unknown := sorted(set(options) - set(check.options)):
        if unknown == ["scope"] and not check.scopes:
            raise JackpotError(f"check {check.name} has no scope {options['scope']!r}; known: none")
        known = ", ".join(check.options) or "none"
        raise JackpotError(f"check {check.name} has no option {', '.join(unknown)}; known: {known}")
    if check.scopes and options.get("scope", check.scopes[0]) not in check.scopes:
        known = ", ".join(check.scopes)
        raise JackpotError(f"check {check.name} has no scope {options['scope']!r}; known: {known}")


def find_check(name: str | Sequence[str], own: Mapping[str, str] | None = None) -> Check:
    """The check of a name, or the combination of several.

    Args:
        name: ``rearranged``, ``half_dataset+shuffled_weights``, or a list of names.
        own: a study's own checks: name -> ``file.py:function``.

    Raises:
        ValueError: there is none of this name, a user's file is not a check, or two of the
            checks edit one ingredient.
    """
    own = own or {}
    names = name.split(JOIN) if isinstance(name, str) else list(name)
    for each in names:
        if each not in CHECKS and each not in own:
            allowed = ", ".join([*CHECKS, *own])
            raise ValueError(f"check {each!r} does not exist. Allowed: {allowed}")
    found = [CHECKS.read(own[each], each) if each in own else CHECKS[each] for each in names]
    if len(found) == 1:
        return found[0]
    for parts in _INGREDIENTS:
        editors = [check.name for check in found if not {*parts}.isdisjoint(check.edits)]
        if len(editors) > 1:
            raise ValueError(
                f"{' and '.join(editors)} both edit the {parts[-1]}, so the second would spoil "
                "what the first has made, and a difference could not be told of either. Combine "
                "checks of different ingredients: data, mask, weights."
            )
    if len(found) != len([check for check in found if check.edits]):
        raise ValueError("`none` leaves the ticket alone; it cannot be combined with other checks")
    found.sort(key=lambda check: EDITS.index(check.edits[0]))
    return Combination(
        JOIN.join(check.name for check in found),
        " ".join(check.question for check in found),
        tuple(part for part in EDITS if any(part in check.edits for check in found)),
        (),
        pretraining_only=any(check.pretraining_only for check in found),
        members=tuple(found),
    )


class _Checks(EditFiles):
    def names(self) -> list[str]:
        """By what they spoil, then by name."""
        order = ("nothing", *EDITS)
        found = {name: self.read(name) for name in super().names()}
        return sorted(
            found, key=lambda name: (order.index((found[name].edits or ("nothing",))[0]), name)
        )

    def __contains__(self, name: object) -> bool:
        return name in super().names()

    def __getitem__(self, name: str) -> Check:
        if name not in self:
            raise JackpotError(f"check {name!r} does not exist. Allowed: {', '.join(self)}")
        return self.read(name)

    def read(self, source: str, name: str = "") -> Check:
        """A built-in check, or a user's ``file.py:function`` under a name.

        Raises:
            ValueError: there is no such file, or nothing in it edits an ingredient.
        """
        edits = self.edits(source)
        options = dict.fromkeys(
            option
            for part, signature in edits.items()
            for option in signature.options(_ARGUMENTS[part])
            if option not in _GIVEN
        )
        required = {option for signature in edits.values() for option in signature.required}
        return Check(
            name or source,
            self.question(source),
            tuple(edits),
            tuple(self.says(source, "SCOPES", ())),
            tuple(options),
            tuple(option for option in options if option in required and option != "scope"),
            bool(self.says(source, "PRETRAINING_ONLY", False)),
            source,
        )


CHECKS = _Checks(
    __name__,
    Path(__file__).parent,
    "check",
    takes=(),
    arguments=_ARGUMENTS,
    first=_FIRST,
    page="docs/extending/check.md",
)


def version_of_data(check: str | Check) -> str:
    """The name of the data that a pruner sees under a check: its data check's, or ``clean``."""
    editor = (find_check(check) if isinstance(check, str) else check).editor("data")
    return editor.name if editor else "clean"
