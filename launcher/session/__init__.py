"""Runs one Ray Tune session: a private Ray, the Tuner, the trials that it trains, and their progress.

From outside: `session`, `private_ray.private_ray`, `resources`.
"""
