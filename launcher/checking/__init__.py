"""Whether a run is what it says: every number is traced to its trial, settings and data, or trained again.

From outside: `run.verify`, `reproduction.reproduce`.
"""
