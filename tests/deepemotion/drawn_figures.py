"""Predictions to draw figures of, and what can be read in a figure."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

CLASSES = ["ANGER", "FEAR", "HAPPINESS", "LOVE", "SADNESS"]


def table(label, prediction, split="validation", subject="01", training_set="sub-01", confidence=0.6):
    """Predictions of one volume every 2 s."""
    rows = pd.DataFrame({"label": list(label), "prediction": list(prediction)})
    rows["split"], rows["subject"], rows["training_set"], rows["trial"] = split, subject, training_set, training_set
    rows["run"] = 1 + np.arange(len(rows)) * 2 // max(1, len(rows))
    rows["index_in_run"] = np.arange(len(rows))
    rows["movie_time"] = 2.0 * np.arange(len(rows))
    for name in CLASSES:
        rows[f"p_{name}"] = np.where(rows["prediction"] == name, confidence, (1 - confidence) / 4)
    return rows


def words(figure: Figure) -> str:
    """Return all text of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def cells(axes):
    return [text.get_text() for text in axes.texts]
