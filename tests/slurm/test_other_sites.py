"""Sites that are set up differently: no accounting, short arrays, several users."""

import json
import os
import pwd
import stat
from pathlib import Path

import pytest
from devcluster import CHECKOUT
from study import NODES, PROGRAMS, assert_curves_are_whole, assert_nothing_stayed, make_study, wait_for

pytestmark = pytest.mark.slow

EPOCHS = 5


def test_without_accounting_and_with_arrays_of_five(new_cluster):
    study = make_study(new_cluster(nodes=2, accounting=False, max_array_size=5))
    profile = study.profile("small", nodes=1, cpus_per_node=4, gpus_per_node=1, memory_gb=2.5)
    submitted = study.launch("r", EPOCHS, "--on", "slurm-array", "--cluster", profile, "--detach", "--max-parallel", 2)
    assert submitted.returncode == 0, submitted.stderr
    record = json.loads((study.run("r").slurm / "submission-001.json").read_text())
    assert list(record["jobs"].values()) == [0, 5, 10, 15]
    assert study.cluster.run("sacct").returncode != 0
    shown = study.ask("status", "r")
    assert shown.returncode == 0, shown.stderr
    assert "pending" in shown.stdout
    study.wait_for_epochs("r", 1, done=3)
    before = study.results("r")
    assert study.ask("cancel", "r").returncode == 0
    wait_for(lambda: not study.queue("%i"), "cancelled")
    assert "cancelled" in study.ask("status", "r").stdout
    again = study.ask("retry", "r")
    assert again.returncode == 0, again.stderr
    study.wait_until_done("r")
    after = study.results("r")
    assert {name: after[name] for name in before} == before
    assert_curves_are_whole(study.run("r"), EPOCHS)
    results = study.ask("results", "r")
    assert results.returncode == 0
    assert "20 done" in results.stdout
    assert_nothing_stayed(study.cluster, NODES[:2])


def open_to_others(path: Path) -> bool:
    """Say whether every user may read a folder: all folders above it have to let them through."""
    return all(one.stat().st_mode & stat.S_IXOTH for one in [path, *path.parents])


def test_two_users_on_the_same_nodes(cluster):
    closed = [
        path for path in (CHECKOUT, PROGRAMS, Path(os.path.realpath(PROGRAMS / "python"))) if not open_to_others(path)
    ]
    if closed:
        pytest.skip(f"{closed[0]} is closed to other users")
    study = make_study(cluster)
    half = study.profile("half", nodes=2, cpus_per_node=4, gpus_per_node=1, memory_gb=2.5)
    other = study.folder / "of-another-user"
    other.mkdir()
    os.chown(other, pwd.getpwnam("nobody").pw_uid, -1)
    home = {"env": {**os.environ, "HOME": str(other)}}
    mine = study.launch("mine", EPOCHS, "--on", "slurm", "--cluster", half, "--detach")
    assert mine.returncode == 0, mine.stderr
    more = ["--runs", other, "--on", "slurm", "--cluster", half, "--detach"]
    theirs = study.launch("theirs", EPOCHS, *more, user="nobody", **home)
    assert theirs.returncode == 0, theirs.stderr
    wait_for(lambda: not study.queue("%i"), "both to end")
    study.wait_until_done("mine")
    results = list(other.glob("theirs/trials/*/result.json"))
    assert len(results) == 20, [log.read_text() for log in other.glob("theirs/slurm/*.log")]
    assert {path.stat().st_uid for path in results} == {pwd.getpwnam("nobody").pw_uid}
    token = other / "theirs" / "slurm" / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert_nothing_stayed(cluster)
