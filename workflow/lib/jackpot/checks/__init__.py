"""Sanity checks: each spoils exactly one ingredient of a ticket and leaves the rest alone.

If accuracy survives, the method never used that ingredient (su2020, section 3). A check is a file
of this folder with a ``QUESTION`` and one or more of three pure functions; one that is not there
is the identity:

- ``data(images, labels, generator, *, classes[, scope])``: the ``(images, labels)`` that the
  pruner sees, ``images`` (N, C, H, W) of any dtype and ``labels`` (N,);
- ``mask(mask, generator)``: the mask of the ticket, name -> bool, True = kept;
- ``weights(weights, mask, generator[, *, scope, initial])``: its starting weights, a whole
  ``state_dict``, not yet masked; ``initial`` is how the network's initial weights are drawn.

``SCOPES``, if there are variants, names them, the default first. Listing the checks imports none
of them, nor torch.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jackpot.errors import JackpotError
from jackpot.registry import Registry, literal

if TYPE_CHECKING:
    import torch

    Data = tuple[torch.Tensor, torch.Tensor]
    Mask = dict[str, torch.Tensor]
    Weights = dict[str, torch.Tensor]

EDITS = ("data", "mask", "weights")


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
        edits: which of ``EDITS`` it is not the identity for.
        scopes: variants of the edit, the default first; empty where there is one only.
    """

    name: str
    question: str
    edits: tuple[str, ...]
    scopes: tuple[str, ...]

    @property
    def spoils(self) -> str:
        """``data``, ``mask``, ``weights``, or ``nothing``."""
        return self.edits[0] if self.edits else "nothing"

    def data(
        self,
        data: Data,
        generator: torch.Generator,
        *,
        classes: int | None = None,
        scope: str | None = None,
    ) -> Data:
        """The ``(images (N, C, H, W) of any dtype, labels (N,))`` that the pruner sees.

        Args:
            classes: number of classes; by default the largest label plus one.
            scope: one of ``scopes``.
        """
        images, labels = data
        classes = int(labels.max()) + 1 if classes is None else classes
        return self._edited("data", data, (images, labels, generator), scope, classes=classes)

    def mask(self, mask: Mask, generator: torch.Generator) -> Mask:
        """The mask of the ticket: name -> bool, True = kept."""
        return self._edited("mask", mask, (mask, generator), None)

    def weights(
        self,
        weights: Weights,
        mask: Mask,
        generator: torch.Generator,
        *,
        scope: str | None = None,
        initial: str = "fan_out",
    ) -> Weights:
        """The starting weights of the ticket, a whole ``state_dict``, not yet masked.

        Args:
            mask: names of the layers it prunes, True = kept.
            scope: one of ``scopes``.
            initial: how fresh weights are drawn (``jackpot.models.initial.initial_state``).
        """
        arguments = (weights, mask, generator)
        return self._edited("weights", weights, arguments, scope, initial=initial)

    def ticket(
        self,
        ticket: Ticket,
        mask_draws: torch.Generator,
        weights_draws: torch.Generator,
        *,
        scope: str | None = None,
        initial: str = "fan_out",
    ) -> Ticket:
        """The ticket with its mask edited, and then its weights under that mask."""
        mask = self.mask(ticket.mask, mask_draws)
        weights = self.weights(ticket.weights, mask, weights_draws, scope=scope, initial=initial)
        return Ticket(mask, weights)

    def _edited(self, part: str, unchanged, arguments: tuple, scope: str | None, **more):
        if part not in self.edits:
            return unchanged
        if scope is not None and scope not in self.scopes:
            known = ", ".join(self.scopes) or "none"
            raise JackpotError(f"check {self.name} has no scope {scope!r}; known: {known}")
        if self.scopes:
            more["scope"] = scope or self.scopes[0]
        edit = getattr(importlib.import_module(f"{__name__}.{self.name}"), part)
        # An edit is given what its signature names.
        named = inspect.signature(edit).parameters
        return edit(*arguments, **{name: value for name, value in more.items() if name in named})


class _Checks(Registry):
    def names(self) -> list[str]:
        """By what they spoil, then by name."""
        order = ("nothing", *EDITS)
        return sorted(super().names(), key=lambda name: (order.index(self[name].spoils), name))

    def __getitem__(self, name: str) -> Check:
        path = self._folder / f"{name}.py"
        if name not in super().names():
            raise JackpotError(f"check {name!r} does not exist. Allowed: {', '.join(self)}")
        return _read(path)


@cache
def _read(path: Path) -> Check:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    return Check(
        path.stem,
        literal(tree, "QUESTION", ""),
        tuple(part for part in EDITS if part in defined),
        literal(tree, "SCOPES", ()),
    )


CHECKS = _Checks(__name__, Path(__file__).parent, "check")


def version_of_data(check: str) -> str:
    """The name of the data that a pruner sees under a check: the check's own, or ``clean``."""
    return check if CHECKS[check].spoils == "data" else "clean"
