"""Controls without a brain: features of volumes from their place among the others, the stimulus or the scanner alone.

From outside: `features.features`. What they are trained on or regressed out of is made in `deepemotion.samples`.
"""
