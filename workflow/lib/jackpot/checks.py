"""Sanity checks: each spoils exactly one ingredient of a ticket and leaves the rest alone.

If accuracy survives, the method never used that ingredient (su2020, section 3). A check is three
pure edits, of data, mask and weights, two of which are the identity. Listing the checks does not
import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jackpot.errors import JackpotError

if TYPE_CHECKING:
    import torch

    Data = tuple[torch.Tensor, torch.Tensor]
    Mask = dict[str, torch.Tensor]
    Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: as in studies and result paths.
        spoils: ``nothing``, ``data``, ``mask`` or ``weights``.
        question: what the check asks, in plain words.
        scopes: variants of the edit, the default first; empty where there is one only.
        data_name: the name of the data that the pruner sees, as in result paths.
    """

    name: str
    spoils: str
    question: str
    edit: Callable | None = None
    scopes: tuple[str, ...] = ()
    data_name: str = "clean"

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
        if self.spoils != "data":
            return data
        images, labels = data
        if classes is None:
            classes = int(labels.max()) + 1
        return self.edit(images, labels, generator, classes, self._checked(scope))

    def mask(self, mask: Mask, generator: torch.Generator) -> Mask:
        """The mask of the ticket: name -> bool, True = kept."""
        return self.edit(mask, generator) if self.spoils == "mask" else mask

    def weights(
        self,
        weights: Weights,
        mask: Mask,
        generator: torch.Generator,
        *,
        scope: str | None = None,
    ) -> Weights:
        """The starting weights of the ticket, a whole ``state_dict``, not yet masked.

        Args:
            mask: names of the layers it prunes, True = kept.
            scope: one of ``scopes``.
        """
        if self.spoils != "weights":
            return weights
        return self.edit(weights, mask, generator, self._checked(scope))

    def _checked(self, scope: str | None) -> str | None:
        if scope is None:
            return self.scopes[0] if self.scopes else None
        if scope not in self.scopes:
            known = ", ".join(self.scopes) or "none"
            raise JackpotError(f"check {self.name} has no scope {scope!r}; known: {known}")
        return scope


def _permutation(length: int, generator: torch.Generator, like: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.randperm(length, generator=generator).to(like.device)


def _random_labels(images, labels, generator, classes, scope) -> Data:
    import torch

    drawn = torch.randint(classes, labels.shape, generator=generator)
    return images, drawn.to(labels)


def _random_pixels(images, labels, generator, classes, scope) -> Data:
    import torch

    permute = {
        "image": _permute_values,
        "rows": _permute_rows,
        "rows_and_columns": _permute_rows_and_columns,
    }[scope]
    return torch.stack([permute(image, generator) for image in images]), labels


def _permute_values(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    order = _permutation(image.numel(), generator, image)
    return image.reshape(-1)[order].reshape(image.shape)


def _permute_rows(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    rows = image.reshape(-1, image.shape[-1])
    return rows[_permutation(len(rows), generator, image)].reshape(image.shape)


def _permute_rows_and_columns(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    # The same in every channel, as mlrc2020's GraSP code does.
    height, width = image.shape[-2:]
    rows = _permutation(height, generator, image)
    columns = _permutation(width, generator, image)
    return image[..., rows, :][..., columns]


def _corrupted_data(images, labels, generator, classes, scope) -> Data:
    images, labels = _random_labels(images, labels, generator, classes, scope)
    return _random_pixels(images, labels, generator, classes, scope)


def _half_dataset(images, labels, generator, classes, scope) -> Data:
    import torch

    parts = []
    for label in range(classes):
        members = (labels == label).nonzero().squeeze(1)
        order = _permutation(len(members), generator, members)
        parts.append(members[order[: len(members) // 2]])
    chosen = torch.cat(parts).sort().values
    return images[chosen.to(images.device)], labels[chosen]


def _rearranged(mask: Mask, generator: torch.Generator) -> Mask:
    return {
        name: keep.reshape(-1)[_permutation(keep.numel(), generator, keep)].reshape(keep.shape)
        for name, keep in mask.items()
    }


def _shuffled_weights(weights: Weights, mask: Mask, generator, scope) -> Weights:
    shuffled = dict(weights)
    for name, keep in mask.items():
        chosen = keep.to(weights[name].device) | (scope == "layer")
        values = weights[name][chosen]
        # A clone is written to: indexing and assigning to a copy of nothing would do nothing.
        shuffled[name] = weights[name].clone()
        shuffled[name][chosen] = values[_permutation(len(values), generator, values)]
    return shuffled


def _reinitialized(weights: Weights, mask: Mask, generator, scope) -> Weights:
    from jackpot.models.initial import initial_state

    fresh = initial_state(weights, generator)
    return {name: tensor.to(weights[name].device) for name, tensor in fresh.items()}


_PIXEL_SCOPES = ("image", "rows", "rows_and_columns")

CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check("none", "nothing", "How accurate is the ticket when nothing is spoiled?"),
        Check(
            "random_labels",
            "data",
            "Does the pruner use the labels? Each is drawn at random from the classes.",
            _random_labels,
            data_name="random_labels",
        ),
        Check(
            "random_pixels",
            "data",
            "Does the pruner use the pictures? The pixels of each are permuted.",
            _random_pixels,
            _PIXEL_SCOPES,
            "random_pixels",
        ),
        Check(
            "corrupted_data",
            "data",
            "Does the pruner use the data at all? Labels are random and pixels are permuted.",
            _corrupted_data,
            _PIXEL_SCOPES,
            "corrupted",
        ),
        Check(
            "half_dataset",
            "data",
            "Does the pruner need all of the data? It sees a random half of every class.",
            _half_dataset,
            data_name="half",
        ),
        Check(
            "rearranged",
            "mask",
            "Does it matter which weights of a layer stay? The mask is permuted in each layer.",
            _rearranged,
        ),
        Check(
            "shuffled_weights",
            "weights",
            "Does it matter where in a layer the kept weights stand? They are permuted.",
            _shuffled_weights,
            ("kept", "layer"),
        ),
        Check(
            "reinitialized",
            "weights",
            "Do the starting weights matter? They are drawn anew under the same mask.",
            _reinitialized,
        ),
    )
}
