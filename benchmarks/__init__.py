"""Reproducible measurements: the stages, and beside them what they share."""
