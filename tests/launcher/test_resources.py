"""A trial's share of a machine."""

import dataclasses

import pytest
from test_plan import plan

from launcher.experiment import ResourceSettings
from launcher.resources import Machine, share_of

GIB = 2**30


@pytest.fixture
def trial():
    return dataclasses.replace(plan()[0], memory_bytes=10 * GIB)


def test_a_trial_is_told_its_limit_where_it_cannot_have_what_it_needs(trial):
    enough = share_of(trial, ResourceSettings(), Machine(cpus=4, gpus=0, memory_bytes=16 * GIB))
    assert (enough.memory_bytes, enough.memory_limit) == (10 * GIB, None)
    short = share_of(trial, ResourceSettings(), Machine(cpus=4, gpus=0, memory_bytes=8 * GIB))
    assert (short.memory_bytes, short.memory_limit) == (8 * GIB, 8 * GIB)
