"""The mask permuted inside each layer; the count in every layer stays (su2020, section 3.2)."""

from jackpot.checks._permutation import permutation

QUESTION = "Does it matter which weights of a layer stay? The mask is permuted in each layer."


def mask(mask, generator):
    """Name -> bool, as many True in every layer as before."""
    return {
        name: keep.reshape(-1)[permutation(keep.numel(), generator, keep)].reshape(keep.shape)
        for name, keep in mask.items()
    }
