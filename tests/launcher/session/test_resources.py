"""A trial's share of a machine."""

import dataclasses

import pytest
from small_plan import plan

from deepemotion.settings.schema import TrainSettings
from launcher.planning.experiment import ResourceSettings
from launcher.session.resources import Machine, share_of

GIB = 2**30


@pytest.fixture
def trial():
    return dataclasses.replace(plan()[0], memory_bytes=10 * GIB)


def test_a_trial_is_told_its_limit_where_it_cannot_have_what_it_needs(trial):
    enough = share_of(trial, ResourceSettings(), Machine(cpus=4, gpus=0, memory_bytes=16 * GIB))
    assert (enough.memory_bytes, enough.memory_limit) == (10 * GIB, None)
    short = share_of(trial, ResourceSettings(), Machine(cpus=4, gpus=0, memory_bytes=8 * GIB))
    assert (short.memory_bytes, short.memory_limit) == (8 * GIB, 8 * GIB)


def test_single_subject_trials_share_a_gpu_as_its_memory_allows(trial):
    single = next(one for one in plan() if len(one.trial.subjects) == 1)
    single = dataclasses.replace(single, memory_bytes=10 * GIB)
    machine = Machine(cpus=8, gpus=2, memory_bytes=64 * GIB, gpu_memory_bytes=45 * GIB)
    auto = ResourceSettings()
    assert share_of(single, auto, machine).gpus == 1 / 4
    # The pooled one, one that is larger than a GPU, and one on a GPU that does not tell its memory, get a whole one.
    assert share_of(trial, auto, machine).gpus == 1
    assert share_of(dataclasses.replace(single, memory_bytes=50 * GIB), auto, machine).gpus == 1
    assert share_of(single, auto, dataclasses.replace(machine, gpu_memory_bytes=0)).gpus == 1
    assert share_of(single, ResourceSettings(gpus_per_trial=0.5), machine).gpus == 0.5
    on_cpu = single.trial.model_copy(update={"train": TrainSettings(device="cpu")})
    assert share_of(dataclasses.replace(single, trial=on_cpu), auto, machine).gpus == 0
