"""What a trained model predicts for labelled volumes, as a table, and the accuracies that follow from it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import nn

from deepemotion.files import atomic_path
from deepemotion.samples import Samples

Rows = NDArray[np.int64]


@torch.inference_mode()
def predict(
    model: nn.Module, samples: Samples, rows: Rows, batch_size: int, precision: torch.dtype
) -> NDArray[np.float32]:
    """Return class probabilities (len(rows), C) of the model in evaluation mode."""
    model.eval()
    parts = []
    for rows_B in torch.from_numpy(rows).to(samples.device).split(batch_size):
        with torch.autocast(samples.device.type, precision, enabled=precision != torch.float32):
            logits = model(samples.dense(rows_B))
        parts.append(logits.float().softmax(dim=1))
    return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, len(samples.classes)), np.float32)


def accuracy(label: NDArray[np.int64], prediction: NDArray[np.int64]) -> float:
    """Return the share of volumes predicted right, nan for none."""
    return float(np.mean(label == prediction)) if len(label) else float("nan")


def accuracy_per_class(
    label: NDArray[np.int64], prediction: NDArray[np.int64], classes: Sequence[str]
) -> dict[str, float]:
    """Return for each class the share of its volumes predicted right (recall), nan where the class does not occur."""
    return {name: accuracy(label[label == i], prediction[label == i]) for i, name in enumerate(classes)}


def predictions_table(samples: Samples, sides: Mapping[str, Rows], probability: NDArray[np.float32]) -> pa.Table:
    """Return one row a labelled volume: where it is from, its split, label, prediction, and a probability a class.

    `sides` names the rows of each split (`train`, `validation`, `unseen`); `probability` is (N, C).
    """
    side = np.full(len(samples), "", dtype=object)
    for name, rows in sides.items():
        side[rows] = name
    classes = np.array(samples.classes)
    table = samples.table
    return pa.table(
        {
            "subject": pa.array(table.subject).dictionary_encode(),
            "run": table.run,
            "index_in_run": table.index_in_run,
            "movie_time": table.movie_time,
            "split": pa.array(side).dictionary_encode(),
            "label": pa.array(classes[table.label]).dictionary_encode(),
            "prediction": pa.array(classes[probability.argmax(axis=1)]).dictionary_encode(),
            **{f"p_{name}": probability[:, i] for i, name in enumerate(samples.classes)},
        }
    )


def write_predictions(path: Path, table: pa.Table) -> None:
    """Write a predictions table atomically."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
