"""Pruners: a score (which weights matter) and an allocation (how many stay in each layer)."""
