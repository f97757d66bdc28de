"""Functional alignment across subjects, estimated on training moments only.

From outside: `align.align`.
"""
