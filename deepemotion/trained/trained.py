"""A trained model after its last epoch, with the volumes it was trained and tested on."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.machine import available_memory
from deepemotion.models import registry
from deepemotion.samples.agreement import require_agreement
from deepemotion.samples.grid import Grid
from deepemotion.samples.samples import Samples
from deepemotion.scoring import audit
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.folder import open_subjects
from deepemotion.training import training_state
from deepemotion.training.checkpoints import Checkpoints
from deepemotion.training.checksums import data_checksums
from deepemotion.training.device import choose_device
from deepemotion.training.trial_data import load_samples
from deepemotion.training.trial_directory import TrialDirectory


@dataclass(frozen=True)
class Trained:
    """A finished trial's model, in evaluation mode, beside its N labelled volumes on the same device.

    `predictions` is the trial's predictions.parquet, row i that of sample i. `result` is the trial's result.json.
    """

    trial: Trial
    model: nn.Module
    samples: Samples
    predictions: pd.DataFrame
    result: dict[str, Any]

    @property
    def beats_labels(self) -> bool:
        """Whether its validation accuracy exceeds what labels alone, the majority class and chance score."""
        return audit.beats(self.result["accuracy_validation"], (self.result[name] for name in audit.COLUMNS))

    def rows(self, emotion: str, splits: tuple[str, ...]) -> NDArray[np.int64]:
        """Return the volumes of these splits whose label is the emotion."""
        wanted = (self.predictions["label"] == emotion) & self.predictions["split"].isin(splits)
        return np.flatnonzero(wanted)


def load_trained(directory: TrialDirectory, packed: Path, labels_file: Path) -> Trained:
    """Load a finished trial's model and its volumes.

    Raises UserError if there is no finished training, it is of a control, or the data is not what it was trained on.
    """
    finished = directory.require_finished()
    trial = finished.trial
    require_brain(directory, trial)
    labels = Labels.read(labels_file)
    device = choose_device(trial.train.model_copy(update={"device": "auto"}))
    with ExitStack() as opened:
        files = opened.enter_context(open_subjects(packed, trial.all_subjects))
        require_agreement(files.values(), labels, labels_file)
        require_data(directory, finished.data, data_checksums(trial, files, labels))
        # Volumes are aligned again, as the model saw them; the notes are in the trial's log already.
        samples = load_samples(trial, files, labels, device, lambda line: None, available_memory())
        if samples.streamed:
            # The files must stay open as long as the samples are used.
            opened.pop_all()
    model = load_model(directory, trial, samples.grid, len(labels.classes))
    predictions = directory.read_predictions()
    for column in predictions.select_dtypes("category"):
        predictions[column] = predictions[column].astype(str)
    return Trained(trial, model.to(device), samples, predictions, finished.result)


def require_brain(directory: TrialDirectory, trial: Trial) -> None:
    """Raise UserError if a trial was trained on a control, whose model knows no voxels."""
    if trial.data.control is not None:
        raise UserError(f"{directory.path}: trained on the control {trial.data.control}, not on a brain")


def require_data(directory: TrialDirectory, recorded: Mapping[str, str], current: Mapping[str, str]) -> None:
    """Raise UserError if data is not, by its checksum, what a trial recorded when it was trained."""
    for name, checksum in recorded.items():
        if current.get(name) != checksum:
            raise UserError(f"{directory.path}: {name} is not what it was trained on; give the same data and labels")


def load_model(directory: TrialDirectory, trial: Trial, grid: Grid, classes: int) -> nn.Module:
    """Return a trial's model as it was after its last epoch, in evaluation mode, on the CPU.

    Raises UserError if its checkpoint cannot be read.
    """
    damaged = []
    newest = Checkpoints(directory.checkpoints).load(lambda path, why: damaged.append(f"{path.name}: {why}"))
    if newest is None or newest[1].get("epoch") != trial.train.epochs:
        why = f" ({'; '.join(damaged)})" if damaged else ""
        raise UserError(
            f"{directory.checkpoints}: the last epoch cannot be read{why}; delete result.json and train again"
        )
    x, y, z = grid.shape
    model = registry.build(trial.model, (z, y, x), classes, grid)
    training_state.restore_model(*newest, model)
    return model.eval()
