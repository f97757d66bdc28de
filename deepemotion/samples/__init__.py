"""Labelled volumes for training: subject files joined with labels, normalised, split and batched.

From outside: `load.load`, `splits.split`, and `timing`, `grid`, `atlas`, `permutation` for their parts.
"""
