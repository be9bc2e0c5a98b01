"""The pixels of every image permuted (su2020, section 3.1)."""

import torch

from jackpot.checks._permutation import permutation

QUESTION = "Does the pruner use the pictures? The pixels of each are permuted."
# image: all C*H*W values (su2020). rows: the C*H rows of W values; rows_and_columns: both, alike
# in every channel: what mlrc2020's SNIP and GraSP code do under that name.
SCOPES = ("image", "rows", "rows_and_columns")


def data(images, labels, generator, *, classes, scope):
    """Every image permuted by an order of its own; the same labels."""
    permute = {"image": _values, "rows": _rows, "rows_and_columns": _rows_and_columns}[scope]
    return torch.stack([permute(image, generator) for image in images]), labels


def _values(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    order = permutation(image.numel(), generator, image)
    return image.reshape(-1)[order].reshape(image.shape)


def _rows(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    rows = image.reshape(-1, image.shape[-1])
    return rows[permutation(len(rows), generator, image)].reshape(image.shape)


def _rows_and_columns(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    height, width = image.shape[-2:]
    rows = permutation(height, generator, image)
    columns = permutation(width, generator, image)
    return image[..., rows, :][..., columns]
