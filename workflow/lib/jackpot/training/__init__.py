"""Training: the schedule, the batches, the loop, and how its results are written."""
