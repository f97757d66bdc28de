"""How much memory a training will need, by arithmetic alone: planning thousands of trials must not build a model."""

import math

from deepemotion.models import entry
from deepemotion.settings import TrialSettings

# A worker process that has imported torch and Ray, as measured.
PROCESS_BYTES = 600 * 2**20
_STATISTICS = {"none": 0, "psc": 2, "zscore": 2, "zscore+detrend": 3}


def trial_bytes(settings: TrialSettings, shape: tuple[int, int, int], voxels: int, volumes: int, runs: int) -> int:
    """Return the estimated peak of a training in bytes.

    `shape` is the dense volume's, `voxels` those in the mask, `volumes` the labelled ones of all its subjects and
    `runs` the runs that they come from. Parameters count four times (values, gradients, Adam's two moments).
    """
    model = entry(settings.model)
    dense = math.prod(shape)
    samples = 2 * volumes * voxels
    statistics = 4 * _STATISTICS[settings.data.normalisation] * runs * voxels
    step = 4 * settings.train.batch_size * (dense * model.activations_per_voxel + 4 * voxels)
    parameters = 4 * 4 * (model.parameters + dense * model.parameters_per_voxel)
    return round(PROCESS_BYTES + samples + statistics + step + parameters)
