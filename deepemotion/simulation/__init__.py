"""Simulates a StudyForrest-shaped dataset: the real one's file tree and formats, with known emotions and networks."""

from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters

__all__ = ["Parameters", "simulate"]
