"""The ticket left alone, which every check is compared with."""

QUESTION = "How accurate is the ticket when nothing is spoiled?"
