"""Functional alignment: projects each subject's volumes into a common space and back into voxels for any model.

A template is estimated from the training moments of the subjects trained on. Each subject, including one that is only
tested on, gets its own map into it from its own volumes at training moments: no label, validation moment or unseen
subject contributes to the template, and no label or validation moment to any map. See docs/alignment.md.

Shape suffixes in addition to those of samples.py: T training moments, K features, M maps of one subject.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import reduce

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepemotion.alignment import shared_response
from deepemotion.alignment.moments import AlignedMoments, Moments, blocks, runs_of
from deepemotion.errors import UserError
from deepemotion.samples import splits
from deepemotion.samples.samples import Samples
from deepemotion.settings.rules import refuse_alignment
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.reader import SubjectFile

_ROWS_AT_ONCE = 32
_LARGEST = 32767


def align(
    samples: Samples,
    files: Mapping[str, SubjectFile],
    trial: Trial,
    device: torch.device,
    log: Callable[[str], None],
) -> Samples:
    """Return the samples with aligned volumes, as int16 again; the argument, on the CPU, must not be used any more.

    `files` are those of the trial's subjects, from which unlabelled volumes are read as well. The computation runs on
    `device`. `log` gets what was done, or that a single subject cannot be aligned. Raises UserError for a split or a
    normalisation that alignment cannot work with, and for too many features.
    """
    method, features = trial.align.method, trial.align.features
    subjects = (*trial.subjects, *trial.unseen_subjects)
    if method == "none":
        return samples
    if len(subjects) == 1:
        log(f"align.method={method} has no effect on a single subject")
        return samples
    refuse_alignment(trial, len(subjects))

    moments, grams = {}, {}
    for subject in subjects:
        moments[subject], grams[subject] = _moments_and_gram(files[subject], samples, trial, device)
    template_T = reduce(np.intersect1d, [moments[subject] for subject in trial.subjects])
    # An unseen subject may have shorter runs.
    used = {subject: np.intersect1d(template_T, moments[subject]) for subject in subjects}
    for subject in subjects:
        _refuse_features(features, subject, used[subject])
        at = torch.from_numpy(np.searchsorted(moments[subject], used[subject]))
        grams[subject] = grams[subject][at][:, at]
    in_template = [grams[subject] for subject in trial.subjects]
    template_KT = shared_response.template(method, in_template, features, len(samples.voxels_V))
    log(f"{method}: {features} features of {len(template_T)} volumes common to {len(trial.subjects)} subjects")

    training_N = splits.moments(samples.table, trial.split)[0]
    features_NK = torch.empty(len(samples), features, device=device)
    basis_VK = torch.zeros(len(samples.voxels_V), features, dtype=torch.float64, device=device)
    mean_power = 0.0
    for subject in subjects:
        response_KT = template_KT[:, torch.from_numpy(np.searchsorted(template_T, used[subject]))]
        weights_TMK, runs, power = _weights(method, response_KT, grams[subject], used[subject])
        rows = np.flatnonzero(samples.table.subject == subject)
        # Not assigned to a name, for the same reason as in _moments_and_gram.
        map_VK, projected_NMK = _project(
            AlignedMoments.of(files[subject], samples.grid, trial).only(used[subject]),
            weights_TMK.to(device),
            samples,
            torch.from_numpy(rows),
        )
        which_N = torch.from_numpy(_which_map(samples.table.run[rows], training_N[rows], runs)).to(device)
        features_NK[rows] = projected_NMK[torch.arange(len(rows), device=device), which_N]
        if subject in trial.subjects:
            basis_VK += map_VK
            mean_power += power / len(trial.subjects)
    return _in_voxels(samples, features_NK, basis_VK, mean_power)


def _moments_and_gram(
    file: SubjectFile, samples: Samples, trial: Trial, device: torch.device
) -> tuple[Moments, Tensor]:
    # A separate function, so that a subject's film, 3 GB of real data, is freed before the next one is loaded.
    film = AlignedMoments.of(file, samples.grid, trial)
    return film.moment_T, film.gram(device)


def _refuse_features(features: int, subject: str, moment_T: Moments) -> None:
    """Reject more features than there are moments to fit a map to, also when each run in turn is left out."""
    in_largest_run = int(np.unique(runs_of(moment_T), return_counts=True)[1].max(initial=0))
    most = max(0, len(moment_T) - in_largest_run - 1)
    if features > most:
        raise UserError(
            f"align.features={features}: the training volumes that subject {subject} shares with the others allow at"
            f" most {most}; lower align.features"
        )


def _weights(
    method: shared_response.Method, response_KT: Tensor, gram_TT: Tensor, moment_T: Moments
) -> tuple[Tensor, NDArray[np.int64], float]:
    """Return a subject's maps as weights (T, M, K) of its moments, the runs (M - 1,), and a moment's mean power.

    The first map is fitted to all moments; each of the others leaves out one run, whose volumes get their features from
    it. At the moments that a map was fitted to, features agree with the template better than at any others: a model
    trained on them would meet weaker ones at validation moments. The power (sum of squared features) is that of the
    runs left out.
    """
    runs = np.unique(runs_of(moment_T))
    weights_TMK = torch.zeros(len(moment_T), 1 + len(runs), len(response_KT), dtype=torch.float64)
    power = 0.0
    for i, fitted_T in enumerate([np.ones(len(moment_T), bool), *(runs_of(moment_T) != run for run in runs)]):
        at, left_out = torch.from_numpy(np.flatnonzero(fitted_T)), torch.from_numpy(np.flatnonzero(~fitted_T))
        fitted_TK = shared_response.fit(method, response_KT[:, at], gram_TT[at][:, at])
        weights_TMK[at, i] = fitted_TK
        power += float((fitted_TK.T @ gram_TT[at][:, left_out]).square().sum()) / len(moment_T)
    return weights_TMK.float(), runs, power


def _which_map(run_N: NDArray[np.int8], training_N: NDArray[np.bool_], runs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the map of each volume: the one without its run for training moments, the one of all runs for others."""
    fitted = training_N & np.isin(run_N, runs)
    return np.where(fitted, 1 + np.searchsorted(runs, run_N), 0)


def _project(film: AlignedMoments, weights_TMK: Tensor, samples: Samples, rows_N: Tensor) -> tuple[Tensor, Tensor]:
    """Return a subject's map of all moments (V, K), and the features (N, M, K) of the volumes `rows_N` by each map."""
    weights_TF = weights_TMK.flatten(1)
    features_NF = torch.zeros(len(rows_N), weights_TF.shape[1], device=weights_TF.device)
    map_VK = torch.empty(len(samples.voxels_V), weights_TMK.shape[2], device=weights_TF.device)
    device = weights_TF.device
    for (block, x_TB), (_, y_NB) in zip(film.blocks(device), blocks(samples, rows_N, device), strict=True):
        maps_BF = x_TB.T @ weights_TF
        map_VK[block] = maps_BF[:, : map_VK.shape[1]]
        features_NF += y_NB @ maps_BF
    return map_VK, features_NF.view(len(rows_N), *weights_TMK.shape[1:])


def _in_voxels(samples: Samples, features_NK: Tensor, basis_VK: Tensor, power: float) -> Samples:
    """Return samples whose volumes are the features in the orthonormal basis nearest to the mean of the subjects' maps.

    A feature is thus located where it is on average, no feature loses information, and the rotation of the features
    that a method ends with makes no difference. One factor for all volumes makes the mean square of a voxel 1 in a
    volume of this `power`.
    """
    values_K, vectors_KK = torch.linalg.eigh(basis_VK.T @ basis_VK)
    basis_VK = (basis_VK @ (vectors_KK * values_K.rsqrt()) @ vectors_KK.T).float()
    factor = math.sqrt(len(basis_VK) / power)
    volumes_NV, scale_N2 = samples.held(), torch.zeros_like(samples.scale_N2)
    for rows_B in torch.arange(len(samples)).split(_ROWS_AT_ONCE):
        x_BV = factor * features_NK[rows_B.to(features_NK.device)] @ basis_VK.T
        slope_B = x_BV.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / _LARGEST
        # In place: a second array of all subjects' volumes might not fit into memory.
        volumes_NV[rows_B] = (x_BV / slope_B[:, None]).round().to(torch.int16).cpu()
        scale_N2[rows_B, 0] = slope_B.cpu()
    return replace(samples, scale_N2=scale_N2, offset_GV=None, gain_GV=None, trend_GV=None, _buffer=None)
