"""The stages: one file a rule, which reads, calls and writes. No stage knows how jobs are run."""
