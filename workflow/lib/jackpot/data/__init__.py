"""Datasets: fetched once and checked by digest, then kept as one safetensors file each.

``sources.fetch`` is the only function that touches the network; ``sources.prepare`` reads what it
fetched, offline. Importing this package imports nothing heavy.
"""
