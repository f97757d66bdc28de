"""Launching an experiment: plan it, check it, and run it on the chosen backend.

From outside: `launch`, and `backend.make`.
"""
