"""Evaluates a finished model on subjects that its training did not include."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.samples import splits
from deepemotion.samples.agreement import require_agreement
from deepemotion.samples.grid import Grid
from deepemotion.samples.load import common_mask, load_opened
from deepemotion.samples.samples import Samples, SampleTable
from deepemotion.scoring import predictions, score
from deepemotion.scoring.audit import Audit, beats
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.folder import open_subjects
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.trained.trained import load_model, require_brain, require_data
from deepemotion.training.checksums import data_checksums
from deepemotion.training.device import choose_device, choose_precision
from deepemotion.training.placement import fits_device
from deepemotion.training.trial_directory import TrialDirectory

SIDE = "unseen"


@dataclass(frozen=True)
class SubjectScore:
    """The model's scores on one subject, named as in `score.scores`, and the audit of the same volumes."""

    subject: str
    volumes: int
    scores: dict[str, float]
    audit: Audit

    @property
    def beats_labels(self) -> bool:
        """Whether its accuracy exceeds what labels alone, the majority class and chance score."""
        return beats(self.scores[f"accuracy_{SIDE}"], self.audit.scores)


def evaluate(
    directory: TrialDirectory, packed: Path, labels_file: Path, subjects: list[str]
) -> tuple[list[SubjectScore], pa.Table]:
    """Score a finished trial's model on each of the subjects; return the scores, and a table of predictions.

    Only the moments that the trial validated on are tested: at others, the model may have learned the label from the
    subjects it was trained on. The random protocol has no such moments, so all are tested, and the audit shows it.
    `packed` must also hold the subjects trained on, whose mask is used. Raises UserError if the subjects, the data or
    the labels do not fit the model.
    """
    finished = directory.require_finished()
    trial = finished.trial
    labels = Labels.read(labels_file)
    require_brain(directory, trial)
    _refuse(directory, trial, labels, finished.result["classes"], subjects)
    # Labels are compared by their classes alone: further subjects may be labelled at other moments.
    trained_on = {name: checksum for name, checksum in finished.data.items() if name != "labels"}
    device = choose_device(trial.train.model_copy(update={"device": "auto"}))
    with open_subjects(packed, [*trial.all_subjects, *subjects]) as files:
        require_agreement(files.values(), labels, labels_file)
        require_data(directory, trained_on, data_checksums(trial, files, labels))
        further = {subject: files[subject] for subject in subjects}
        grid = _grid(trial, [files[subject] for subject in trial.all_subjects], list(further.values()))
        model = load_model(directory, trial, grid, len(labels.classes)).to(device)
        samples = load_opened(further, labels, trial.data, grid=grid)
    samples = samples.to(device, resident=fits_device(samples, trial, device))
    rows = np.flatnonzero(splits.moments(samples.table, trial.split)[1])
    precision = choose_precision(trial.train, device)
    probability = score.predict(model, samples, np.arange(len(samples)), trial.train.batch_size, precision)
    table = predictions.table(samples, {SIDE: rows}, probability).take(rows)
    training = directory.read_predictions(["movie_time", "label", "split"])
    training = training[training["split"] == "train"]
    scores = [
        _score(subject, samples, rows[samples.table.subject[rows] == subject], probability, training)
        for subject in subjects
    ]
    return scores, table


def _refuse(directory: TrialDirectory, trial: Trial, labels: Labels, classes: list[str], subjects: list[str]) -> None:
    known = sorted({*trial.subjects, *trial.unseen_subjects} & set(subjects))
    if known:
        raise UserError(f"sub-{known[0]} is part of this training: its predictions are in {directory.predictions}")
    if list(labels.classes) != classes:
        raise UserError(f"the labels' classes are {' '.join(labels.classes)}, but the model's {' '.join(classes)}")
    if trial.align.method != "none":
        raise UserError(
            f"align.method={trial.align.method}: name further subjects when training (--unseen), to align them"
        )


def _grid(trial: Trial, trained_on: list[SubjectFile], further: list[SubjectFile]) -> Grid:
    """Return the grid of the trial's volumes. Raises UserError if a further subject lacks some of its voxels."""
    common_mask([*trained_on, *further])
    mask = common_mask(trained_on)
    for file in further:
        lacking = int(np.count_nonzero(mask & ~file.mask))
        if lacking:
            raise UserError(f"{file.path}: its mask lacks {lacking} of the voxels that the model was trained on")
    return Grid.of(mask, trial.data)


def _score(
    subject: str,
    samples: Samples,
    rows: NDArray[np.int64],
    probability: NDArray[np.float32],
    training: pd.DataFrame,
) -> SubjectScore:
    if not len(rows):
        raise UserError(f"sub-{subject} has no labelled volume at the moments that the model was not trained on")
    table, classes = samples.table, samples.classes
    scores = score.scores(table, classes, {SIDE: rows}, probability)
    return SubjectScore(subject, len(rows), scores, _audit(table, rows, training, classes))


def _audit(table: SampleTable, rows: NDArray[np.int64], training: pd.DataFrame, classes: tuple[str, ...]) -> Audit:
    """Return what the training labels score on the rows, without any volume."""
    index = {name: number for number, name in enumerate(classes)}
    learned = np.array([index[str(name)] for name in training["label"]], np.int64)
    time = np.concatenate([training["movie_time"].to_numpy(), table.movie_time[rows]])
    label = np.concatenate([learned, table.label[rows]])
    return Audit.of(time, label, np.arange(len(learned)), np.arange(len(learned), len(label)), len(classes))
