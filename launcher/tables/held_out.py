"""Reads from a run's predictions what models predicted for volumes that they were not trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from numpy.typing import NDArray

from deepemotion.labels import leave_one_out
from launcher.tables.selection import Trials

SPLITS = ("validation", "unseen")

# Reads a table's pages only if they match their checksums.
_CHECKED = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(page_checksum_verification=True)
)
_COUNTED = ["trial", "split", "label", "prediction"]
_LOCATED = [*_COUNTED, "subject", "run", "movie_time", *leave_one_out.COLUMNS]


@dataclass(frozen=True)
class HeldOutPredictions:
    """Predictions of trials, of the splits `validation` and `unseen`.

    `true`: of trials on true labels, one row per volume, columns as in tables/predictions.parquet.
    `permuted`: of trials on permuted labels, columns trial, split, label, prediction, and n, the number of volumes.
    """

    true: pd.DataFrame
    permuted: pd.DataFrame

    @property
    def classes(self) -> list[str]:
        """Return the classes in the order of the table's probabilities."""
        return [column.removeprefix("p_") for column in self.true.columns if column.startswith("p_")]

    def codes(self, names: pd.Series) -> NDArray[np.int64]:
        """Return the class index of each name."""
        codes: NDArray[np.int64] = pd.Categorical(names, categories=self.classes).codes.astype(np.int64)
        return codes

    def confusions(self) -> dict[tuple[str, str], NDArray[np.float64]]:
        """Return the confusion matrix (C, C), rows labels, of each permuted trial and split."""
        if self.permuted.empty:
            return {}
        place, keys = pd.MultiIndex.from_frame(self.permuted[["trial", "split"]]).factorize()
        matrices = np.zeros((len(keys), len(self.classes), len(self.classes)))
        cells = (place, self.codes(self.permuted["label"]), self.codes(self.permuted["prediction"]))
        np.add.at(matrices, cells, self.permuted["n"].to_numpy())
        return dict(zip(keys, matrices, strict=True))


def read_held_out(path: Path, trials: Trials) -> HeldOutPredictions:
    """Read what `trials` that are done predicted, from tables/predictions.parquet.

    Of the many permuted trials only labels and predictions are read, as codes, and counted. Those of learning curves
    are left out: see `read_right`.
    """
    true, permuted = trials.whole.done.true_labels.names, trials.done.permuted.names
    columns = [name for name in pq.read_schema(path).names if name in _LOCATED or name.startswith("p_")]
    file = ds.dataset(path, format=_CHECKED)
    tested = ds.field("split").isin(list(SPLITS))
    # Filtering by the names of all trials would take as long as reading the file.
    wanted = tested & _of(true) if permuted or len(trials.parts) else tested
    table = file.to_table(columns=columns, filter=wanted).to_pandas()
    counted = file.to_table(columns=_COUNTED, filter=tested & _of(permuted)).unify_dictionaries()
    n = counted.to_pandas().groupby(_COUNTED, observed=True).size()
    return HeldOutPredictions(table, n.rename("n").reset_index())


def read_right(path: Path, trials: Trials) -> pd.DataFrame:
    """Return how many held-out volumes of each subject `trials` on true labels answer rightly, if they are done.

    Columns: trial, split, subject, right, n (volumes).
    """
    wanted = ds.field("split").isin(list(SPLITS)) & _of(trials.done.true_labels.names)
    columns = ["trial", "split", "subject", "label", "prediction"]
    table = ds.dataset(path, format=_CHECKED).to_table(columns=columns, filter=wanted)
    frame = table.to_pandas().astype(dict.fromkeys(columns, str))
    right = (frame["label"] == frame["prediction"]).rename("right")
    places = [frame[name] for name in columns[:3]]
    counts: pd.DataFrame = right.groupby(places).agg(right="sum", n="size").reset_index()
    return counts


def _of(trials: list[str]) -> ds.Expression:
    return ds.field("trial").isin(pa.array(trials, pa.string()))
