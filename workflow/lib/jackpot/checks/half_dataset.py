"""A random half of the pretraining data, class-balanced (su2020, section 5)."""

import torch

from jackpot.checks._permutation import permutation

QUESTION = "Does the pruner need all of the data? It sees a random half of every class."
# A check of pretraining: it does not apply to a ticket that only shows its score a batch.
PRETRAINING_ONLY = True


def data(images, labels, generator, *, classes):
    """Half of the images of every class, rounded down, in their old order."""
    parts = []
    for label in range(classes):
        members = (labels == label).nonzero().squeeze(1)
        order = permutation(len(members), generator, members)
        parts.append(members[order[: len(members) // 2]])
    chosen = torch.cat(parts).sort().values
    return images[chosen.to(images.device)], labels[chosen]
