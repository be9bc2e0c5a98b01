"""The magnitudes of the starting weights with fair random signs.

Zhou et al. 2019, "Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask", section 3.
"""

import torch

QUESTION = "Do the starting signs matter? They are drawn anew; the magnitudes stay."


def weights(weights, mask, generator):
    """A copy of the state in which every weight of the masked layers has a sign drawn anew."""
    redrawn = dict(weights)
    for name, keep in mask.items():
        signs = torch.randint(2, keep.shape, generator=generator) * 2 - 1
        redrawn[name] = weights[name].abs() * signs.to(weights[name])
    return redrawn
