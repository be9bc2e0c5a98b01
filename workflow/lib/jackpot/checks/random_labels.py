"""Labels uniform over the classes (su2020, section 3.1)."""

import torch

QUESTION = "Does the pruner use the labels? Each is drawn at random from the classes."


def data(images, labels, generator, *, classes):
    """The same images with labels drawn anew."""
    drawn = torch.randint(classes, labels.shape, generator=generator)
    return images, drawn.to(labels)
