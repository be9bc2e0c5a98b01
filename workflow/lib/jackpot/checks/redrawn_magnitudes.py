"""The signs of the starting weights with the magnitudes of fresh initial ones.

Zhou et al. 2019, "Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask", section 3.
"""

import torch

from jackpot.checks import reinitialized

QUESTION = "Do the starting magnitudes matter? They are drawn anew; the signs stay."


def weights(weights, mask, generator, *, fresh=None):
    """A copy of the state with the masked layers redrawn; 0 counts as positive, -0 does not."""
    drawn = reinitialized.weights(weights, mask, generator, fresh=fresh)
    return {**weights, **{n: torch.copysign(drawn[n], weights[n]) for n in mask}}
