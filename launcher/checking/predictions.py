"""Checks the predictions of a trial that is done against its result."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from deepemotion.files import readable
from deepemotion.training.trial_directory import TrialDirectory
from launcher.checking.problems import Problems
from launcher.planning.plan import PlannedTrial
from launcher.run.trial_files import REMEDY

# What one volume is known by, and the sides that a result has scores of.
PLACE = ["subject", "run", "index_in_run"]
_SIDES = ("train", "validation", "unseen")
_COLUMNS = [*PLACE, "movie_time", "split", "label", "prediction"]
_TOLERANCE = 1e-9


def read_predictions(directory: TrialDirectory) -> pd.DataFrame:
    """Return the predictions of a trial, with texts as such. Raises UserError where they are damaged."""
    with readable(directory.predictions, REMEDY):
        frame: pd.DataFrame = pq.read_table(directory.predictions, page_checksum_verification=True).to_pandas()
    return plain(frame)


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose categories are texts."""
    return frame.astype(dict.fromkeys(frame.select_dtypes("category"), str))


def check_predictions(
    directory: TrialDirectory, trial: PlannedTrial, result: Mapping[str, Any], found: Problems
) -> None:
    """Check that predictions are of this trial's subjects, one per volume, and score what the result says.

    Raises UserError where they cannot be read.
    """
    path = directory.predictions
    frame = read_predictions(directory)
    missing = [column for column in _COLUMNS if column not in frame]
    if missing:
        found.add(path, f"damaged (no column {missing[0]}); {REMEDY}")
        return
    doubled = int(frame.duplicated(PLACE).sum())
    if doubled:
        found.add(path, f"{doubled} volumes are predicted twice")
    foreign = sorted(set(frame["subject"]) - set(trial.subjects))
    if foreign:
        found.add(path, f"predicts sub-{foreign[0]}, whom the trial does not have")
    classes = [str(column).removeprefix("p_") for column in frame if str(column).startswith("p_")]
    if "classes" in result and classes != result["classes"]:
        found.add(path, f"has the classes {', '.join(classes)}, and not those of result.json")
    _check_answers(path, frame, classes, found)
    right = frame["label"] == frame["prediction"]
    for side in _SIDES:
        rows = frame["split"] == side
        number = result.get(f"n_{side}")
        if number is not None and number != rows.sum():
            found.add(path, f"has {rows.sum()} {side} volumes where result.json says {number}")
        accuracy = result.get(f"accuracy_{side}")
        if accuracy is not None and not abs(right[rows].mean() - accuracy) < _TOLERANCE:
            found.add(path, f"its {side} accuracy is {right[rows].mean():.6g} where result.json says {accuracy:.6g}")


def _check_answers(path: object, frame: pd.DataFrame, classes: list[str], found: Problems) -> None:
    """Check that each prediction is the class of the highest probability."""
    unknown = (set(frame["label"]) | set(frame["prediction"])) - set(classes)
    if unknown:
        found.add(path, f"{min(unknown)} is none of its classes")
        return
    probability = frame[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    if not ((probability >= 0) & (probability <= 1)).all():
        found.add(path, "a probability is not in [0, 1]")
        return
    other = int((np.array(classes)[probability.argmax(axis=1)] != frame["prediction"].to_numpy()).sum())
    if other:
        found.add(path, f"{other} predictions are not the likeliest class")
