"""The paper's figures, and those that tell what its accuracies are worth: one a file, drawn from tables alone."""

from deepemotion.figures.emotions import emotion_by_model
from deepemotion.figures.learning import learning_curves

__all__ = ["emotion_by_model", "learning_curves"]
