"""Scores of predictions: metrics, intervals, tests of hypotheses, and the table of predictions.

From outside: `score.scores` for all scores of a model; `metrics`, `hypothesis_tests` and `predictions` for their parts.
"""
