"""Fresh initial weights under the same mask (Frankle & Carbin 2019, section 1)."""

from jackpot.models.initial import initial_state

QUESTION = "Do the starting weights matter? They are drawn anew under the same mask."


def weights(weights, mask, generator, *, initial="fan_out"):
    """A whole state drawn anew, as the network's initial weights are."""
    fresh = initial_state(weights, generator, initial)
    return {name: tensor.to(weights[name].device) for name, tensor in fresh.items()}
