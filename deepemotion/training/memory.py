"""Estimates how much memory a training will need.

This is pure arithmetic: planning thousands of trials must not build a model.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deepemotion.models.registry import entry
from deepemotion.settings.schema import DataSettings, TrialSettings

# A worker process that has imported torch and Ray, as measured.
PROCESS_BYTES = 600 * 2**20
# Alignment: a block of a film with its normalised copies; matrices in addition to the subjects' own; bytes per value of
# a map.
_ALIGNMENT_BLOCK_BYTES, _FURTHER_GRAMS, _MAP_BYTES = 300 * 10**6, 3, 28
# The features of a control: hundreds of numbers a volume, whatever the brain's size.
_CONTROL_BYTES = 128 * 2**20
# For each voxel: a block of volumes, and sums of two further columns with what follows from them; moments of each run.
_REGRESSION_VOXEL_BYTES, _MOMENTS_BYTES = 2 * 16 + 10 * 8, 4 * 4
_STATISTICS = {"none": 0, "psc": 2, "zscore": 2, "zscore+detrend": 3}


@dataclass(frozen=True)
class PackedSize:
    """A packed volume: its `shape`, the sides of the `box` around its mask, and how many `voxels` are in the mask."""

    shape: tuple[int, int, int]
    box: tuple[int, int, int]
    voxels: int

    def dense(self, data: DataSettings) -> tuple[tuple[int, int, int], int]:
        """Return the largest shape that a dense volume has under these settings, and the most voxels in the mask."""
        if data.downsample == 1:
            return self.box if data.crop else self.shape, self.voxels
        # A box of n voxels touches one block more than n / 2 if it begins in the middle of a block.
        box = _each(lambda side: side // 2 + 1, self.box)
        return box if data.crop else _each(lambda side: -(-side // 2), self.shape), min(self.voxels, math.prod(box))


def _each(change: Callable[[int], int], sides: tuple[int, int, int]) -> tuple[int, int, int]:
    x, y, z = map(change, sides)
    return x, y, z


def trial_bytes(
    settings: TrialSettings, size: PackedSize, volumes: int, films: Sequence[int], runs: int, regressors: int = 0
) -> int:
    """Return the estimated peak of a training in bytes, or of the alignment before it, if that needs more.

    `volumes` are the labelled ones of all its subjects, `films` the number of volumes of each subject, labelled
    or not, `runs` the number of runs of all subjects together, and `regressors` how many independent features of
    confounds a run has. Parameters count four times (values, gradients,
    Adam's two moments). A control's features take the same whatever the volumes.
    """
    if settings.data.control is not None:
        return PROCESS_BYTES + _CONTROL_BYTES
    shape, voxels = size.dense(settings.data)
    besides = besides_volumes(settings, math.prod(shape), voxels, runs, regressors)
    if settings.align.method != "none" and len(films) > 1:
        besides = max(besides, PROCESS_BYTES + _alignment_bytes(settings, films, voxels, runs))
    return 2 * volumes * voxels + besides


def besides_volumes(settings: TrialSettings, dense: int, voxels: int, runs: int, regressors: int = 0) -> int:
    """Return what a training needs in addition to its int16 volumes, in bytes: process, statistics, model and a step.

    Or what regressing confounds out needs before it, if that is more. `dense` are the voxels of a dense volume,
    `voxels` those in the mask.
    """
    model = entry(settings.model)
    statistics = _statistics_bytes(settings, voxels, runs)
    step = 4 * settings.train.batch_size * (dense * model.activations_per_voxel + 4 * voxels)
    parameters = 4 * 4 * (model.parameters + dense * model.parameters_per_voxel)
    return round(PROCESS_BYTES + statistics + max(step + parameters, _regression_bytes(voxels, runs, regressors)))


def _statistics_bytes(settings: TrialSettings, voxels: int, runs: float) -> float:
    return 4 * _STATISTICS[settings.data.normalisation] * runs * voxels


def _regression_bytes(voxels: int, runs: int, regressors: int) -> int:
    """Return what the regression of a run holds, in bytes: sums in double precision, coefficients, a block of volumes.

    Where volumes are streamed, the coefficients of all runs, 4 bytes each, stay in memory besides.
    """
    if not regressors:
        return 0
    return voxels * ((8 + 4) * regressors + _REGRESSION_VOXEL_BYTES + _MOMENTS_BYTES * runs)


def _alignment_bytes(settings: TrialSettings, films: Sequence[int], voxels: int, runs: int) -> int:
    """Return what alignment holds: one film at a time, float64 Gram matrices of all, and maps in several precisions."""
    longest = max(films)
    film = 2 * longest * voxels + _ALIGNMENT_BLOCK_BYTES
    grams = 8 * longest**2 * (len(films) + _FURTHER_GRAMS)
    maps = _MAP_BYTES * voxels * settings.align.features
    return round(film + grams + maps + _statistics_bytes(settings, voxels, runs + runs / len(films)))
