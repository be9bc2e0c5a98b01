"""Fresh initial weights under the same mask (Frankle & Carbin 2019, section 1)."""

from jackpot.models.initial import initial_state

QUESTION = "Do the starting weights matter? They are drawn anew under the same mask."


def weights(weights, mask, generator, *, fresh=None):
    """A whole state drawn anew, as the model's initial weights are."""
    drawn = fresh(generator) if fresh else initial_state(weights, generator)
    return {name: tensor.to(weights[name].device) for name, tensor in drawn.items()}
