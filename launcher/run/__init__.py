"""The run directory: the plan, the trials' states, who works on them, and where they came from.

From outside: `directory.RunDirectory`, `sessions`, `selections`, `provenance`, `time_left`.
"""
