"""Determines what each trial may use of a machine: CPUs, memory, and a share of a GPU."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deepemotion.machine import available_memory as available_memory
from deepemotion.settings.rules import refuse_device
from launcher.planning.experiment import ResourceSettings
from launcher.planning.plan import PlannedTrial

_MEMORY_STEP = 256 * 2**20


@dataclass(frozen=True)
class Machine:
    """What Ray may use: CPUs, GPUs, memory of the host, and the memory of each GPU (bytes, the smallest)."""

    cpus: int
    gpus: int
    memory_bytes: int
    gpu_memory_bytes: int = 0


@dataclass(frozen=True)
class Share:
    """What one trial gets. `memory_limit` is set if the trial needs more memory than the machine has (bytes)."""

    cpus: int
    gpus: float
    memory_bytes: int
    memory_limit: int | None = None


def this_machine() -> Machine:
    """Return what this process may use of this machine (CPU affinity, memory limit of its cgroup)."""
    return Machine(len(os.sched_getaffinity(0)), _gpu_count(), available_memory(), gpu_memory())


def refuse_devices(trials: Iterable[PlannedTrial]) -> None:
    """Raise UserError if a trial requires a GPU and this machine has none."""
    if "cuda" in {planned.trial.train.device for planned in trials}:
        refuse_device("cuda", _gpu_count())


def short_of_memory(trials: Sequence[PlannedTrial], memory_bytes: int) -> str | None:
    """Return a one-line warning if trials need more memory than is available, by their estimates; else None."""
    above = [trial.memory_bytes for trial in trials if trial.memory_bytes > memory_bytes]
    if not above:
        return None
    return (
        f"warning: {len(above)} of {len(trials)} trials need more memory than is available: an estimated"
        f" {max(above) / 2**30:.1f} GiB of {memory_bytes / 2**30:.1f} GiB; they may be slow or fail"
    )


def share_of(planned: PlannedTrial, settings: ResourceSettings, machine: Machine) -> Share:
    """Return the trial's share of the machine.

    A trial never requests more than the machine has, since it would wait forever; it streams its volumes instead.
    Memory is rounded up, so that trials with similar needs get equal shares and can reuse each other's worker process.
    A trial of several subjects gets a whole GPU; single-subject trials share one if its memory allows.
    """
    cpus = min(planned.trial.train.threads, machine.cpus)
    memory = min(math.ceil(planned.memory_bytes / _MEMORY_STEP) * _MEMORY_STEP, machine.memory_bytes)
    if machine.gpus == 0 or planned.trial.train.device == "cpu":
        gpus = 0.0
    elif settings.gpus_per_trial != "auto":
        gpus = float(settings.gpus_per_trial)
    elif len(planned.trial.subjects) > 1 or machine.gpu_memory_bytes == 0:
        gpus = 1.0
    else:
        gpus = 1 / max(1, machine.gpu_memory_bytes // planned.memory_bytes)
    return Share(cpus, gpus, memory, memory if memory < planned.memory_bytes else None)


def gpu_memory() -> int:
    """Return the memory of the smallest GPU that this process sees (bytes), 0 if there is none."""
    # Importing torch takes over a second, which machines without a GPU need not pay here.
    if not Path("/dev/nvidiactl").exists():
        return 0
    import torch

    count = torch.cuda.device_count()
    return min((torch.cuda.get_device_properties(i).total_memory for i in range(count)), default=0)


def _gpu_count() -> int:
    if not Path("/dev/nvidiactl").exists():
        return 0
    import torch

    return torch.cuda.device_count()
