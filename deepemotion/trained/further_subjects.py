"""A finished model on subjects that its training never had."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples import splits
from deepemotion.samples.grid import Grid
from deepemotion.samples.load import common_mask, load
from deepemotion.samples.samples import Samples, SampleTable
from deepemotion.samples.splits import Audit
from deepemotion.scoring import predictions, score
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.trained.trained import load_model, require_data
from deepemotion.training.checksums import data_checksums
from deepemotion.training.device import choose_device, choose_precision
from deepemotion.training.placement import fits_device
from deepemotion.training.trial_directory import TrialDirectory

SIDE = "unseen"


@dataclass(frozen=True)
class Test:
    """What the model scores on one subject, under the names of `evaluation.scores`; `audit` is of the same volumes."""

    subject: str
    volumes: int
    scores: dict[str, float]
    audit: Audit

    @property
    def beats_labels(self) -> bool:
        """Whether its accuracy exceeds what labels alone, the majority class and chance score."""
        return self.scores[f"accuracy_{SIDE}"] > max(self.audit.label_only, self.audit.majority, self.audit.chance)


def test(
    directory: TrialDirectory, packed: Path, labels_file: Path, subjects: list[str]
) -> tuple[list[Test], pa.Table]:
    """Test a finished trial's model on each of the subjects; return the tests and the predictions, as a trial has them.

    Tested are the moments that the trial validated on: of others, the model may have learned the label from the
    subjects it was trained on. Under the random protocol, which has no such moments, all are, and the audit tells.
    `packed` holds the subjects trained on as well, whose voxels are used. Raises UserError where that cannot be.
    """
    settings, result = directory.require_finished()
    trial = Trial.model_validate(settings["trial"])
    labels = Labels.read(labels_file)
    _refuse(directory, trial, labels, result["classes"], subjects)
    # Its classes say enough of the labels: further subjects may be labelled for other moments.
    trained_on = {name: checksum for name, checksum in settings["data"].items() if name != "labels"}
    require_data(directory, trained_on, data_checksums(trial, packed, labels))
    device = choose_device(trial.train.model_copy(update={"device": "auto"}))
    grid = _grid(packed, trial, subjects)
    model = load_model(directory, trial, grid, len(labels.classes)).to(device)
    samples = load(packed, subjects, labels, trial.data, grid=grid)
    samples = samples.to(device, resident=fits_device(samples, trial, device))
    rows = np.flatnonzero(splits.moments(samples.table, trial.split)[1])
    precision = choose_precision(trial.train, device)
    probability = score.predict(model, samples, np.arange(len(samples)), trial.train.batch_size, precision)
    table = predictions.table(samples, {SIDE: rows}, probability).take(rows)
    training = directory.read_predictions(["movie_time", "label", "split"])
    training = training[training["split"] == "train"]
    tests = [
        _test(subject, samples, rows[samples.table.subject[rows] == subject], probability, training)
        for subject in subjects
    ]
    return tests, table


def _refuse(directory: TrialDirectory, trial: Trial, labels: Labels, classes: list[str], subjects: list[str]) -> None:
    known = sorted({*trial.subjects, *trial.unseen_subjects} & set(subjects))
    if known:
        raise UserError(f"sub-{known[0]} is part of this training: its predictions are in {directory.predictions}")
    if list(labels.classes) != classes:
        raise UserError(f"the labels' classes are {' '.join(labels.classes)}, but the model's {' '.join(classes)}")
    if trial.align.method != "none":
        raise UserError(f"align.method={trial.align.method}: name further subjects when training, for their own maps")


def _grid(packed: Path, trial: Trial, subjects: list[str]) -> Grid:
    """Return the grid of the trial's volumes. Raises UserError where a further subject lacks some of its voxels."""
    with ExitStack() as opened:

        def files(names: list[str]) -> list[SubjectFile]:
            return [opened.enter_context(SubjectFile.of(packed, name)) for name in names]

        own, further = files([*trial.subjects, *trial.unseen_subjects]), files(subjects)
        common_mask([*own, *further])
        mask = common_mask(own)
        for file in further:
            lacking = int(np.count_nonzero(mask & ~file.mask))
            if lacking:
                raise UserError(f"{file.path}: its mask lacks {lacking} of the voxels that the model was trained on")
        return Grid.of(mask, trial.data)


def _test(
    subject: str,
    samples: Samples,
    rows: NDArray[np.int64],
    probability: NDArray[np.float32],
    training: pd.DataFrame,
) -> Test:
    if not len(rows):
        raise UserError(f"sub-{subject} has no labelled volume of the moments that the model was not trained on")
    table, classes = samples.table, samples.classes
    scores = score.scores(table, classes, {SIDE: rows}, probability)
    return Test(subject, len(rows), scores, _audit(table, rows, training, classes))


def _audit(table: SampleTable, rows: NDArray[np.int64], training: pd.DataFrame, classes: tuple[str, ...]) -> Audit:
    """Return what the training labels score on the rows, without any volume."""
    index = {name: number for number, name in enumerate(classes)}
    learned = np.array([index[str(name)] for name in training["label"]], np.int64)
    time = np.concatenate([training["movie_time"].to_numpy(), table.movie_time[rows]])
    label = np.concatenate([learned, table.label[rows]])
    return splits.audit(time, label, np.arange(len(learned)), np.arange(len(learned), len(label)), len(classes))
