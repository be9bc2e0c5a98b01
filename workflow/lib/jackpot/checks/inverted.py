"""The negative scores: the worst weights stay, as many in every layer as without the check.

Frankle et al. 2021, "Pruning Neural Networks at Initialization: Why Are We Missing the Mark?",
section 5, keep the layers' shares and prune the weights that the method would keep.
"""

QUESTION = "Do the scores rank the weights of a layer? Those with the lowest scores stay."


def scores(scores, generator):
    """Name -> scores of the other sign, shaped as before."""
    return {name: -values for name, values in scores.items()}
