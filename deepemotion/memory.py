"""How much memory a training will need, and how much there is.

The need is found by arithmetic alone: planning thousands of trials must not build a model.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from deepemotion.models import entry
from deepemotion.settings import DataSettings, TrialSettings

# A worker process that has imported torch and Ray, as measured.
PROCESS_BYTES = 600 * 2**20
_STATISTICS = {"none": 0, "psc": 2, "zscore": 2, "zscore+detrend": 3}


@dataclass(frozen=True)
class PackedSize:
    """A packed volume: its `shape`, the sides of the `box` around its mask, and how many `voxels` that has."""

    shape: tuple[int, int, int]
    box: tuple[int, int, int]
    voxels: int

    def dense(self, data: DataSettings) -> tuple[int, int]:
        """Return the most voxels that a dense volume has under these settings, and the most of them in the mask."""
        if data.downsample == 1:
            return math.prod(self.box if data.crop else self.shape), self.voxels
        # A box of n voxels reaches into one block more than n / 2 where it begins in the middle of one.
        in_box = math.prod(side // 2 + 1 for side in self.box)
        return in_box if data.crop else math.prod(-(-side // 2) for side in self.shape), min(self.voxels, in_box)


def trial_bytes(settings: TrialSettings, size: PackedSize, volumes: int, runs: int) -> int:
    """Return the estimated peak of a training in bytes.

    `volumes` are the labelled ones of all its subjects and `runs` the runs that they come from. Parameters count four
    times (values, gradients, Adam's two moments).
    """
    dense, voxels = size.dense(settings.data)
    return 2 * volumes * voxels + besides_volumes(settings, dense, voxels, runs)


def besides_volumes(settings: TrialSettings, dense: int, voxels: int, runs: int) -> int:
    """Return what a training needs beside its int16 volumes, in bytes: the process, statistics, model and a step.

    `dense` are the voxels of a dense volume, `voxels` those in the mask.
    """
    model = entry(settings.model)
    statistics = 4 * _STATISTICS[settings.data.normalisation] * runs * voxels
    step = 4 * settings.train.batch_size * (dense * model.activations_per_voxel + 4 * voxels)
    parameters = 4 * 4 * (model.parameters + dense * model.parameters_per_voxel)
    return round(PROCESS_BYTES + statistics + step + parameters)


def available_memory() -> int:
    """Return the bytes that new processes may use: the host's available memory, or less where a cgroup says so."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
            available = min(available, int(text))
    return available
