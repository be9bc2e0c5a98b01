"""The batch of training images that a pruner sees."""

from collections.abc import Sequence

import torch

from jackpot.errors import JackpotError

Batch = tuple[torch.Tensor, torch.Tensor]


def pruning_batch(
    images_uint8: torch.Tensor,
    labels: torch.Tensor,
    mean: Sequence[float],
    std: Sequence[float],
    generator: torch.Generator,
    *,
    kind: str = "per_class",
    samples_per_class: int = 10,
    draws: int = 1,
    size: int = 128,
    classes: int | None = None,
) -> Batch:
    """Choose and normalise a pruning batch; no augmentation.

    Args:
        images_uint8: (N, C, H, W), 0..255.
        labels: int (N,).
        mean, std: per channel, on the 0..1 scale.
        generator: decides which images are drawn.
        kind: ``per_class``: ``samples_per_class`` images of every class, ordered by class, drawn
            without replacement within a draw, ``draws`` times over (GraSP's released code);
            ``shuffled``: one shuffled batch of ``size`` images (mlrc2020's SNIP).
        classes: number of classes; by default the largest label plus one.

    Returns:
        ``(images float32 (M, C, H, W), labels (M,))``.

    Raises:
        JackpotError: unknown kind, or too few images.
    """
    if kind == "per_class":
        classes = int(labels.max()) + 1 if classes is None else classes
        chosen = torch.cat(
            [_draw(labels, classes, samples_per_class, generator) for _ in range(draws)]
        )
    elif kind == "shuffled":
        if size > len(labels):
            raise JackpotError(f"a pruning batch of {size} from {len(labels)} images: too few")
        chosen = torch.randperm(len(labels), generator=generator)[:size]
    else:
        raise JackpotError(f"unknown pruning batch {kind!r}; known: per_class, shuffled")
    chosen = chosen.to(images_uint8.device)
    images = images_uint8[chosen].float() / 255
    centre, spread = (
        torch.as_tensor(value, dtype=torch.float32, device=images.device).reshape(1, -1, 1, 1)
        for value in (mean, std)
    )
    return (images - centre) / spread, labels[chosen.to(labels.device)]


def blank_batch(
    images_uint8: torch.Tensor,
    *,
    kind: str,
    samples_per_class: int,
    draws: int,
    size: int,
    classes: int,
) -> Batch:
    """As many images as ``pruning_batch`` would choose, all zeros of class 0, for who reads none.

    Nothing is chosen, so it needs no class to have as many.
    """
    count = size if kind == "shuffled" else samples_per_class * draws * classes
    shape = (count, *images_uint8.shape[1:])
    return torch.zeros(shape), torch.zeros(count, dtype=torch.int64)


def _draw(
    labels: torch.Tensor, classes: int, samples: int, generator: torch.Generator
) -> torch.Tensor:
    """Indices of ``samples`` images of each class, in order of class."""
    order = torch.randperm(len(labels), generator=generator)
    shuffled = labels.cpu()[order]
    parts = []
    for label in range(classes):
        found = order[shuffled == label][:samples]
        if len(found) < samples:
            raise JackpotError(
                f"class {label} has {len(found)} images, but the pruning batch takes {samples} "
                "of every class. Lower samples_per_class, or, if a check of the data has made them "
                "few, let it leave more."
            )
        parts.append(found)
    return torch.cat(parts)
