"""The predictions of a trained model as a table, and its file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from deepemotion.files import atomic_path
from deepemotion.labels import leave_one_out
from deepemotion.samples.samples import Samples


def table(samples: Samples, sides: Mapping[str, NDArray[np.int64]], probability: NDArray[np.float32]) -> pa.Table:
    """Return one row per labelled volume: its origin, split, label, prediction, and a probability per class.

    `sides` names the rows of each split (`train`, `validation`, `unseen`); `probability` is (N, C). Where the labels
    say how well observers agree, `observers_compared` and `observers_right` are those of the volume's movie time.
    """
    side = np.full(len(samples), "", dtype=object)
    for name, rows in sides.items():
        side[rows] = name
    classes = np.array(samples.classes)
    volumes = samples.table
    observers = {} if volumes.observers is None else dict(zip(leave_one_out.COLUMNS, volumes.observers.T, strict=True))
    return pa.table(
        {
            "subject": pa.array(volumes.subject).dictionary_encode(),
            "run": volumes.run,
            "index_in_run": volumes.index_in_run,
            "movie_time": volumes.movie_time,
            "split": pa.array(side).dictionary_encode(),
            "label": pa.array(classes[volumes.label]).dictionary_encode(),
            "prediction": pa.array(classes[probability.argmax(axis=1)]).dictionary_encode(),
            **{f"p_{name}": probability[:, i] for i, name in enumerate(samples.classes)},
            **observers,
        }
    )


def write(path: Path, table: pa.Table) -> None:
    """Write a predictions table atomically, with a checksum for each page."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
