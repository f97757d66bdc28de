"""One Ray Tune session: a private Ray, the Tuner, the trials it trains, and their progress.

From outside: `session`, `private_ray.private_ray`, `resources`.
"""
