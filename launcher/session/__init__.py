"""Runs one Ray Tune session: a private Ray, the Tuner, the trials that it trains, and their progress.

From outside: `session`, `resources`, and `private_ray` for the other nodes of a job.
"""
