"""Sites that are set up differently: no accounting, short arrays, several users."""

import json
import os
import pwd
import stat

import pytest
from devcluster import CHECKOUT
from study import FEW, FEW_TRIALS, NODES, PROGRAMS, assert_curves_are_whole, assert_nothing_stayed, make_study, wait_for

pytestmark = pytest.mark.slow

EPOCHS = 5


def test_without_accounting_and_with_arrays_of_three(new_cluster, data):
    study = make_study(new_cluster(nodes=2, accounting=False, max_array_size=3), data)
    # Four tasks, more than an array may have. Each starts a Ray of its own.
    epochs = 20
    study.submit_slowly("r", epochs, *study.by_array("r", 3), "--max-parallel", 2, subjects="1-9")
    record = json.loads((study.run("r").slurm / "submission-001.json").read_text())
    assert list(record["jobs"].values()) == [0, 3]
    assert study.cluster.run("sacct").returncode != 0
    shown = study.ask("status", "r")
    assert shown.returncode == 0, shown.stderr
    assert "pending" in shown.stdout
    # Else all could be done before they are cancelled.
    study.slow_down_amid("r")
    assert study.ask("cancel", "r").returncode == 0
    wait_for(lambda: not study.queue("%i"), "cancelled")
    before = study.results("r")
    assert "cancelled" in study.ask("status", "r").stdout
    again = study.ask("retry", "r")
    assert again.returncode == 0, again.stderr
    study.wait_until_done("r", 10)
    study.assert_kept("r", before)
    assert_curves_are_whole(study.run("r"), epochs)
    results = study.ask("results", "r")
    assert results.returncode == 0
    assert "10 done" in results.stdout
    assert_nothing_stayed(study.cluster, NODES[:2])


def test_two_users_on_the_same_nodes(study):
    for folder in (CHECKOUT, PROGRAMS):
        if not folder.stat().st_mode & stat.S_IXOTH:
            pytest.skip(f"{folder} itself is closed to other users")
    words = study.by_ray("half", nodes=2)
    other = study.folder / "of-another-user"
    other.mkdir()
    os.chown(other, pwd.getpwnam("nobody").pw_uid, -1)
    home = {"env": {**os.environ, "HOME": str(other)}}
    study.submit("mine", EPOCHS, *words, subjects=FEW)
    theirs = study.launch("theirs", EPOCHS, *words, "--runs", other, "--detach", subjects=FEW, user="nobody", **home)
    assert theirs.returncode == 0, theirs.stderr
    wait_for(lambda: not study.queue("%i"), "both to end")
    study.wait_until_done("mine", FEW_TRIALS)
    results = list(other.glob("theirs/trials/*/result.json"))
    assert len(results) == FEW_TRIALS, [log.read_text() for log in other.glob("theirs/slurm/*.log")]
    assert {path.stat().st_uid for path in results} == {pwd.getpwnam("nobody").pw_uid}
    token = other / "theirs" / "slurm" / "token"
    assert stat.S_IMODE(token.stat().st_mode) == 0o600
    assert_nothing_stayed(study.cluster)
