"""jackpot: sanity checks for neural-network pruning methods.

Importing this package imports nothing heavy; ``jackpot.study`` in particular never imports
torch, so that Snakemake can lay out thousands of jobs in seconds.
"""

__version__ = "0.1.0"
