"""The kept weights permuted among the kept positions of their layer (su2020, section 5)."""

from jackpot.checks._permutation import permutation

QUESTION = "Does it matter where in a layer the kept weights stand? They are permuted."
# kept: among the kept positions (su2020). layer: the whole layer first, masked afterwards: what
# mlrc2020's code does under that name.
SCOPES = ("kept", "layer")


def weights(weights, mask, generator, *, scope):
    """A copy of the state with the masked layers permuted."""
    shuffled = dict(weights)
    for name, keep in mask.items():
        chosen = keep.to(weights[name].device) | (scope == "layer")
        values = weights[name][chosen]
        # A clone is written to: indexing and assigning to a copy of nothing would do nothing.
        shuffled[name] = weights[name].clone()
        shuffled[name][chosen] = values[permutation(len(values), generator, values)]
    return shuffled
