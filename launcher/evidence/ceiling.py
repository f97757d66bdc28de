"""The observers' ceiling beside a model's scores, on the volumes that it was tested on; and that between brains."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepemotion.labels import leave_one_out
from deepemotion.scoring.between_brains import BetweenBrains
from deepemotion.scoring.ceiling import Ceiling, Estimate, in_words, observers_ceiling
from launcher.run.directory import RunDirectory

CEILING = "observers_ceiling"
SHARE = "share_of_ceiling"
_UNKNOWN = Estimate(np.nan, np.nan, np.nan)


def ceiling_columns(
    tested: pd.DataFrame,
    label: NDArray[np.int64],
    prediction: NDArray[np.int64],
    block: NDArray[np.int64],
    classes: Sequence[str],
) -> dict[str, float]:
    """Return the columns that say how well observers do on tested volumes, and how much of that the predictions reach.

    `tested` are N predictions, with the columns `leave_one_out.COLUMNS` if their labels say how well observers agree;
    the others are their class indices and blocks (`movie_blocks.label_blocks`), (N,). Columns: observers_ceiling and
    share_of_ceiling, each with _low and _high (95 %), and observers_ceiling_CLASS. All are nan where one of the volumes
    does not have what they need.
    """
    columns = list(leave_one_out.COLUMNS)
    found = Ceiling(_UNKNOWN, (_UNKNOWN,) * len(classes), _UNKNOWN)
    if set(columns) <= set(tested) and tested[columns].notna().all(axis=None):
        compared, right = (tested[name].to_numpy(dtype=np.float64) for name in columns)
        correct = (label == prediction).astype(np.float64)
        found = observers_ceiling(compared, right, label, block, len(classes), correct)
    result: dict[str, float] = {}
    for name, one in ((CEILING, found.overall), (SHARE, found.share or _UNKNOWN)):
        result |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
    return result | {_of_class(name): one.value for name, one in zip(classes, found.by_class, strict=True)}


def ceiling_note(scores: pd.DataFrame) -> str:
    """Return a sentence on the observers, overall and by class, from the row of a score table with the most volumes."""
    known = scores[scores[CEILING].notna()]
    if known.empty:
        return "no observers' ceiling: the labels do not say how well observers agree (deepemotion label writes it now)"
    row = known.iloc[int(known["n"].to_numpy().argmax())]
    columns = [str(name) for name in scores]
    suffixes = [name.removeprefix(_of_class("")) for name in columns if name.startswith(_of_class(""))]
    # Names of classes are in upper case, which tells them from the limits of the interval.
    classes = [suffix for suffix in suffixes if suffix[0].isupper()]
    overall = Estimate(row[CEILING], row[f"{CEILING}_low"], row[f"{CEILING}_high"])
    by_class = tuple(Estimate(row[_of_class(name)], np.nan, np.nan) for name in classes)
    words = in_words(Ceiling(overall, by_class, None), classes)
    return f"an observer agrees with the label of the others in {words}; of observers: the accuracy as a share of that"


def between_brains_note(run: RunDirectory) -> list[str]:
    """Return the sentence on how well other brains predict a brain, none where `between_brains.tsv` is not in the run.

    Raises UserError for a damaged file.
    """
    path = run.path / "between_brains.tsv"
    return [BetweenBrains.read(path).in_words()] if path.is_file() else []


def _of_class(name: str) -> str:
    return f"{CEILING}_{name}"
