"""Random labels and random pixels together (su2020, section 3.1)."""

from jackpot.checks import random_labels, random_pixels

QUESTION = "Does the pruner use the data at all? Labels are random and pixels are permuted."
SCOPES = ("image", "rows", "rows_and_columns")


def data(images, labels, generator, *, classes, scope):
    """Labels drawn anew, then every image permuted."""
    images, labels = random_labels.data(images, labels, generator, classes=classes)
    return random_pixels.data(images, labels, generator, classes=classes, scope=scope)
