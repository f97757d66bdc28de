"""Decides where a trial's volumes are kept while it trains: on the device, in the host's memory, or in their files."""

from collections.abc import Mapping
from math import prod

import torch

from deepemotion.samples.confounds import most_regressors
from deepemotion.samples.load import common_grid
from deepemotion.samples.samples import Samples
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.training import memory


def most_bytes(trial: Trial, files: Mapping[str, SubjectFile], memory_bytes: int | None) -> int | None:
    """Return how many bytes of volumes may be in the host's memory if the trial may use `memory_bytes` in total.

    None means no limit. Aligned volumes exist only in memory, so they are kept there. Raises UserError if the subjects'
    files do not match each other, and as `confounds.bases` does.
    """
    if memory_bytes is None or trial.align.method != "none":
        return None
    grid = common_grid(files.values(), trial.data)
    runs = sum(len(file.volumes_per_run) for file in files.values())
    regressors = most_regressors(files.values(), trial.data)
    return memory_bytes - memory.besides_volumes(trial, prod(grid.shape), len(grid.voxels), runs, regressors)


def fits_device(samples: Samples, trial: Trial, device: torch.device) -> bool:
    """Return whether the volumes fit into the device's free memory together with what a training step needs."""
    if device.type != "cuda":
        return True
    voxels, groups = len(samples.voxels_V), 0 if samples.gain_GV is None else len(samples.gain_GV)
    step = memory.besides_volumes(trial, prod(samples.shape), voxels, groups) - memory.PROCESS_BYTES
    # A worker keeps the memory of its last trial, which this one can use.
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    return samples.volume_bytes + step <= free
