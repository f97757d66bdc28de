"""Functional alignment across subjects, estimated on training moments only.

From outside: `align.align`, and `held_out_runs.held_out_runs` for runs that were left out.
"""
