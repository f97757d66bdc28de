"""SLURM: cluster profiles, job scripts, submissions, the queue, and what runs inside a job.

From outside: `submit`, `job`, `cluster_profile`, `queue`, `submissions`.
"""
