"""Which labelled volumes train and which validate."""

import numpy as np
import torch
from numpy.typing import NDArray

from deepemotion.errors import UserError
from deepemotion.samples.samples import SampleTable
from deepemotion.settings.rules import refuse_fold
from deepemotion.settings.schema import SplitSettings

Rows = NDArray[np.int64]


def split(table: SampleTable, settings: SplitSettings, count: int | None = None) -> tuple[Rows, Rows]:
    """Return the rows for training and for validation, both sorted, among the first `count` of the table or all.

    The other rows are of subjects used only for testing. Their moments are held out as well: their runs may be longer.

    `random` is the published protocol: for each subject a permutation from a torch generator with the split's seed,
    whose last share validates. With the same labels, all subjects get the same permutation of movie moments.
    `run` validates on the run `fold`, `block` on every `folds`-th block of the movie. Both train on what is more than
    `gap_s` seconds from that, whichever run or subject it was recorded in: adjacent runs share some seconds of the
    movie, and with a gap wider than the haemodynamic response no response reaches from one side to the other. The true
    time decides what is held out, wherever `data.timing` places the labels. What belongs to the fold `outer`, or is
    within `gap_s` seconds of it, is on neither side. With `training_runs`, volumes of other runs do not train.
    Raises UserError if a side would be empty.
    """
    if settings.fold_is is None:
        training, validation = _random(table.subject[:count], settings)
        training = training[_trains(table, settings)[training]]
    else:
        training, validation = (np.flatnonzero(side[:count]) for side in moments(table, settings))
    for side, rows in (("training", training), ("validation", validation)):
        if len(rows) == 0:
            fold = "" if settings.fold is None else f" of fold {settings.fold}"
            fold += "" if settings.outer is None else f" outside of fold {settings.outer}"
            raise UserError(f"split.protocol={settings.protocol}: no labelled volume on the {side} side{fold}")
    return training, validation


def moments(table: SampleTable, settings: SplitSettings) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return (N,) which volumes are of training moments and which of validation moments, for any subject's volumes.

    `random` has no folds: all moments are on both sides, but for runs that do not train. Raises UserError for a fold
    that the protocol does not have.
    """
    refuse_fold(settings)
    trains = _trains(table, settings)
    if settings.fold is None:
        return trains, np.ones(len(table), bool)
    time = table.true_time
    validation = _of_fold(table, settings, settings.fold)
    if settings.outer is None:
        return trains & _beyond(time, validation, settings.gap_s), validation
    outer = _of_fold(table, settings, settings.outer)
    training = trains & _beyond(time, validation | outer, settings.gap_s)
    return training, validation & _beyond(time, outer, settings.gap_s)


def _trains(table: SampleTable, settings: SplitSettings) -> NDArray[np.bool_]:
    """Return (N,) which volumes are of runs that train."""
    if settings.training_runs is None:
        return np.ones(len(table), bool)
    return np.isin(table.run, settings.training_runs)


def _of_fold(table: SampleTable, settings: SplitSettings, fold: int) -> NDArray[np.bool_]:
    """Return (N,) which volumes belong to a fold: to a run, or to its blocks of the movie."""
    if settings.protocol == "run":
        return np.asarray(table.run == fold)
    return np.asarray((table.true_time // settings.block_s).astype(np.int64) % settings.folds == fold - 1)


def _beyond(time: NDArray[np.float64], held_out: NDArray[np.bool_], gap_s: float) -> NDArray[np.bool_]:
    """Return (N,) which volumes are more than `gap_s` seconds from all that are held out."""
    taken = np.unique(time[held_out])
    if not taken.size:
        return ~held_out
    after = np.clip(np.searchsorted(taken, time), 0, len(taken) - 1)
    before = np.maximum(after - 1, 0)
    return np.minimum(np.abs(time - taken[before]), np.abs(taken[after] - time)) > gap_s


def _random(subject_N: NDArray[np.str_], settings: SplitSettings) -> tuple[Rows, Rows]:
    training, validation = [], []
    for subject in dict.fromkeys(subject_N.tolist()):
        rows = np.flatnonzero(subject_N == subject)
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(settings.seed)).numpy()
        # The rounding keeps products such as (1 - 0.2) * 10 = 8.000000000000002 at the intended integer.
        n_training = int(round((1 - settings.validation_share) * len(rows), 6))
        training.append(rows[order[:n_training]])
        validation.append(rows[order[n_training:]])
    return np.sort(np.concatenate(training)), np.sort(np.concatenate(validation))
