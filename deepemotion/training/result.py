"""Makes and writes the result of a finished training: predictions of every labelled volume, and result.json."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deepemotion import __version__
from deepemotion.labels.table import Labels
from deepemotion.scoring import score
from deepemotion.settings.schema import TrainSettings
from deepemotion.training.trial_data import TrialData
from deepemotion.training.trial_directory import TrialDirectory


def predict_all(
    model: nn.Module,
    data: TrialData,
    validated: NDArray[np.float32] | None,
    settings: TrainSettings,
    precision: torch.dtype,
) -> NDArray[np.float32]:
    """Return the model's probabilities (N, C) of all volumes; `validated` are those of validation, None if unknown."""
    others = np.setdiff1d(np.arange(len(data.samples)), data.validation)
    probability = np.empty((len(data.samples), len(data.classes)), np.float32)
    # The validation volumes have batches of their own, as in an epoch: the rest of a batch may change the last bits.
    if validated is None:
        validated = score.predict(model, data.samples, data.validation, settings.batch_size, precision)
    probability[data.validation] = validated
    probability[others] = score.predict(model, data.samples, others, settings.batch_size, precision)
    return probability


def result_of(
    data: TrialData, probability: NDArray[np.float32], history: Sequence[Mapping[str, float]]
) -> dict[str, float]:
    """Return the numbers of a result: scores of the final model, what labels alone score, counts and times (s)."""
    numbers = {
        **score.scores(data.samples.table, data.classes, data.sides, probability),
        **data.audits(),
        "best_epoch": 1 + int(np.argmax([metrics["accuracy/validation"] for metrics in history])),
        "epochs": len(history),
        "n_train": len(data.training),
        "n_validation": len(data.validation),
        "n_unseen": len(data.unseen),
        "training_s": sum(metrics["time/epoch"] for metrics in history),
    }
    return {key: value for key, value in numbers.items() if not np.isnan(value)}


def write_result(
    directory: TrialDirectory,
    data: TrialData,
    labels: Labels,
    probability: NDArray[np.float32],
    result: Mapping[str, float],
) -> None:
    """Write the predictions, and then result.json with the provenance of the result: a trial that has it is done."""
    # Not at the top: pyarrow takes tens of MB, which a training should not hold beside its activations.
    from deepemotion.scoring import predictions

    predictions.write(directory.predictions, predictions.table(data.samples, data.sides, probability))
    device = data.samples.device
    provenance = {
        "classes": list(data.classes),
        "missing": score.missing_classes(data.samples.table, data.classes, data.sides),
        "labels_checksum": labels.checksum,
        "deepemotion": __version__,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
    directory.write_result({**result, **provenance})
    directory.log(f"done: validation accuracy {100 * result['accuracy_validation']:.1f} %")
