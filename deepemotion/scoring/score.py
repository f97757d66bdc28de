"""The predictions of a trained model for labelled volumes, and its scores."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deepemotion.samples.movie_blocks import label_blocks
from deepemotion.samples.samples import Samples, SampleTable
from deepemotion.scoring import metrics

Rows = NDArray[np.int64]


@torch.inference_mode()
def predict(
    model: nn.Module, samples: Samples, rows: Rows, batch_size: int, precision: torch.dtype
) -> NDArray[np.float32]:
    """Return class probabilities (len(rows), C) of the model in evaluation mode."""
    model.eval()
    parts = []
    for _, x_B1ZYX in samples.batches(torch.from_numpy(rows), batch_size):
        with torch.autocast(samples.device.type, precision, enabled=precision != torch.float32):
            logits = model(x_B1ZYX)
        parts.append(logits.float().softmax(dim=1))
    return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, len(samples.classes)), np.float32)


def epoch_metrics(
    table: SampleTable, classes: Sequence[str], rows: Rows, probability: NDArray[np.float32]
) -> dict[str, float]:
    """Return an epoch's validation metrics of `rows`, whose `probability` is (len(rows), C).

    `loss/validation` is the mean negative log-likelihood, `emotion/<name>` the recall of a class that occurs.
    """
    label = table.label[rows]
    of_label = probability[np.arange(len(rows)), label].astype(np.float64)
    sums = metrics.tally(label, probability.argmax(axis=1), None, len(classes)).total()
    recall = zip(classes, metrics.recall(sums).tolist(), strict=True)
    return {
        "loss/validation": float(-np.log(np.maximum(of_label, np.finfo(np.float32).tiny)).mean()),
        "accuracy/validation": float(metrics.accuracy(sums)),
        **{f"emotion/{name.lower()}": value for name, value in recall if not np.isnan(value)},
    }


def scores(
    table: SampleTable, classes: Sequence[str], sides: Mapping[str, Rows], probability: NDArray[np.float32]
) -> dict[str, float]:
    """Return the final model's scores on each side; `sides` and `probability` as in `predictions.table`.

    `accuracy_SIDE` and, except for training, `METRIC_SIDE` of every metric, `accuracy_SIDE_CLASS` (recall), the 95 %
    interval `accuracy_SIDE_low` and `_high`, and `classes_missing_SIDE`, how many classes have no volume there.
    Undefined scores are nan.
    """
    result: dict[str, float] = {}
    for side, rows in sides.items():
        label = table.label[rows]
        counts = metrics.tally(label, probability[rows].argmax(axis=1), probability[rows], len(classes))
        sums = counts.total()
        result[f"accuracy_{side}"] = float(metrics.accuracy(sums))
        if len(rows):
            result[f"classes_missing_{side}"] = len(_missing(label, classes))
        if side == "train":
            continue
        result |= {f"{name}_{side}": float(metric(sums)) for name, metric in metrics.METRICS.items()}
        block = label_blocks(table.run[rows], table.movie_time[rows], label)
        limits = metrics.interval(metrics.accuracy(metrics.block_bootstrap(counts, block)))
        result |= {f"accuracy_{side}_{end}": limit for end, limit in zip(("low", "high"), limits, strict=True)}
        for name, value in zip(classes, metrics.recall(sums).tolist(), strict=True):
            result[f"accuracy_{side}_{name}"] = value
    return result


def missing_classes(table: SampleTable, classes: Sequence[str], sides: Mapping[str, Rows]) -> str:
    """Return, as text, which classes have no volume on which side: `train: LOVE; validation: ANGER LOVE`."""
    missing = {side: _missing(table.label[rows], classes) for side, rows in sides.items() if len(rows)}
    return "; ".join(f"{side}: {' '.join(names)}" for side, names in missing.items() if names)


def _missing(label: Rows, classes: Sequence[str]) -> list[str]:
    return [name for i, name in enumerate(classes) if not (label == i).any()]
