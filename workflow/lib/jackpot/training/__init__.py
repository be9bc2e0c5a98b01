"""Training: the schedule, the batches, the loop, and the stages built on it."""
