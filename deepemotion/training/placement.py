"""Where a trial's volumes are while it trains: on the device, in the host's memory, or in their files."""

from collections.abc import Callable
from contextlib import ExitStack
from math import prod
from pathlib import Path

import torch

from deepemotion.alignment.align import align
from deepemotion.labels.table import Labels
from deepemotion.samples.grid import Grid
from deepemotion.samples.load import common_mask, load
from deepemotion.samples.samples import Samples
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.training import memory


def place(
    trial: Trial,
    packed: Path,
    labels: Labels,
    device: torch.device,
    log: Callable[[str], None],
    memory_bytes: int | None = None,
) -> Samples:
    """Load a trial's samples, aligned if it says so, with batches on `device`; where they lie changes no bit of them.

    Volumes that do not fit the host's `memory_bytes` beside all else stay in their files. Those that do not fit the
    device stay in the host's memory. `log` is told. Aligned volumes exist nowhere but in memory, so there they are
    kept. Raises UserError where the data does not fit the trial.
    """
    subjects = [*trial.subjects, *trial.unseen_subjects]
    room = None
    if memory_bytes is not None and trial.align.method == "none":
        room = memory_bytes - _besides_volumes(trial, packed, subjects)
    samples = align(load(packed, subjects, labels, trial.data, most_bytes=room), packed, trial, device, log)
    resident = fits_device(samples, trial, device)
    size = f"{samples.volume_bytes / 1e9:.2f} GB of volumes"
    if samples.streamed:
        log(f"{size} are streamed from their files: the trial may use {(memory_bytes or 0) / 1e9:.2f} GB of memory")
    elif not resident:
        log(f"{size} stay in the host's memory: they do not fit the GPU beside a step")
    return samples.to(device, resident=resident)


def fits_device(samples: Samples, trial: Trial, device: torch.device) -> bool:
    """Say whether the volumes fit the free memory of the device, beside what a step needs of it."""
    if device.type != "cuda":
        return True
    voxels, groups = len(samples.voxels_V), 0 if samples.gain_GV is None else len(samples.gain_GV)
    step = memory.besides_volumes(trial, prod(samples.shape), voxels, groups) - memory.PROCESS_BYTES
    # A worker keeps what its last trial held, which is free for this one.
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    return samples.volume_bytes + step <= free


def _besides_volumes(trial: Trial, packed: Path, subjects: list[str]) -> int:
    with ExitStack() as opened:
        files = [opened.enter_context(SubjectFile.of(packed, subject)) for subject in subjects]
        grid = Grid.of(common_mask(files), trial.data)
        runs = sum(len(file.volumes_per_run) for file in files)
    return memory.besides_volumes(trial, prod(grid.shape), len(grid.voxels), runs)
