"""A fixed part of the faults that `make faults` provokes: whatever happens, launching again gives the same numbers."""

import fault_table
import pytest

# Faults without Ray: name and seed. `make faults` draws further seeds of these, and all others.
CHOSEN = [
    ("finished plan.tsv", 1),
]
WITH_RAY = [
    ("SIGKILL: worker", 1),
]


def judged(name, seed, base, folder):
    (fault,) = (fault for fault in fault_table.FAULTS if fault.name == name)
    verdict, _ = fault_table.judge(fault, base, folder / "one", seed)
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), CHOSEN)
def test_after_a_fault_the_same_launch_gives_the_same_numbers(name, seed, base, tmp_path):
    verdict = judged(name, seed, base, tmp_path)
    assert not verdict.found, verdict


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), WITH_RAY)
def test_after_a_fault_in_a_launch_the_same_launch_gives_the_same_numbers(name, seed, base, tmp_path):
    verdict = judged(name, seed, base, tmp_path)
    assert not verdict.found, verdict


def test_every_fault_has_a_name_of_its_own():
    names = [fault.name for fault in fault_table.FAULTS]
    assert len(set(names)) == len(names)
