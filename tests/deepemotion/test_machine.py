"""The memory that a machine has for new processes."""

import pytest

from deepemotion import machine


@pytest.mark.parametrize(
    ("own", "limit"),
    [
        ("0::/slurm/job_7/step_0\n", "slurm/job_7/memory.max"),
        ("4:memory:/slurm/job_7/step_0\n1:cpu:/\n", "memory/slurm/job_7/memory.limit_in_bytes"),
    ],
)
def test_the_limit_of_a_cgroup_above_this_process_s_counts(tmp_path, monkeypatch, own, limit):
    (tmp_path / "own").write_text(own)
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "groups")
    monkeypatch.setattr(machine, "_OWN_CGROUPS", tmp_path / "own")
    unlimited = machine.available_memory()
    path = tmp_path / "groups" / limit
    path.parent.mkdir(parents=True)
    path.write_text("max\n")
    assert machine.available_memory() > 2**29 or unlimited < 2**30
    path.write_text("104857600\n")
    assert machine.available_memory() == 104857600
