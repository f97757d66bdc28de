"""A fixed part of the faults that `make faults` provokes: whatever happens, launching again gives the same numbers."""

import fault_table
import pytest

# Faults without Ray: name and seed. `make faults` draws further seeds of these, and all others.
CHOSEN = [
    ("finished sessions/session-001.json", 1007),
    ("finished tables/trials.parquet", 1004),
    ("finished trials/*/trial.json", 1009),
    ("interrupted checkpoints/last.pt", 1015),
    ("interrupted checkpoints/best.pt", 1005),
    ("interrupted failure.json", 1006),
    ("vanished: checkpoints", 1003),
    ("vanished: tables", 1020),
    ("SIGTERM: packer", 1000),
    ("SIGSTOP: packer", 1019),
    ("SIGKILL: packer's worker", 1011),
    ("full disk: train", 1002),
    ("full disk: pack", 831),
    ("finished trials/*/epochs.tsv", 887),
    ("packed file, any byte", 860),
    ("packed /scale", 826),
    ("vanished: packed subjects or labels", 789),
]
WITH_RAY = [("two launches at once", 501)]


def here(chosen):
    """Return those that this machine can make: only root can mount a small disk."""
    names = {fault.name for fault in fault_table.FAULTS}
    return [(name, seed) for name, seed in chosen if name in names]


def judged(name, seed, base, folder):
    (fault,) = (fault for fault in fault_table.FAULTS if fault.name == name)
    verdict, _ = fault_table.judge(fault, base, folder / "one", seed)
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize(("name", "seed"), here(CHOSEN))
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
