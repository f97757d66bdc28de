"""A running devcluster: that it is a SLURM cluster, and fails as one does."""

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from devcluster import COMMANDS, call, wait_until
from devcluster_checks import assert_nothing_is_left, lines, submit

pytestmark = pytest.mark.slow
NODES = ["node1", "node2", "node3"]


def state(cluster, node):
    return cluster.output("sinfo", "--noheader", "--Node", f"--nodes={node}", "--partition=main", "--format=%T")


def test_nodes_are_hosts_of_their_own(cluster):
    asked = ("sinfo", "--noheader", "--Node", "--partition=main", "--format=%N %T %c %m %G")
    assert cluster.output(*asked).splitlines() == [f"{node} idle 8 6000 gpu:2" for node in NODES]
    script = "touch {/tmp,/dev/shm}/$(hostname); echo $(hostname) $(ls /tmp | grep ^node) $(ls /dev/shm) $(hostname -I)"
    said = cluster.output("srun", "--nodes=3", "--label", "bash", "-c", script, cwd="/").splitlines()
    assert len({line.split()[-1] for line in said}) == 3
    for line in said:
        _, host, *seen, address = line.split()
        assert seen == [host, host]
        assert cluster.output("getent", "hosts", host).split() == [address, host]


def test_no_host_reaches_outside(cluster):
    for node in (None, "node1"):
        assert cluster.run("getent", "hosts", "example.org", node=node).returncode != 0
        tried = cluster.run(
            "python3", "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 30)", node=node
        )
        assert "unreachable" in tried.stderr or "No route" in tried.stderr


def test_jobs_on_one_node_get_distinct_gpus(cluster):
    script = "echo $CUDA_VISIBLE_DEVICES > gpu.$1; until test -e gpu.a && test -e gpu.b; do sleep 0.1; done"
    words = ("srun", "--nodelist=node2", "--gpus=1", "--time=5", "sh", "-c", script, "sh")
    both = [cluster.popen(*words, name) for name in "ab"]
    for one in both:
        _, errors = one.communicate(timeout=300)
        assert one.returncode == 0, errors
    assert sorted(lines(cluster.shared / "gpu.a") + lines(cluster.shared / "gpu.b")) == ["0", "1"]


def test_run_behaves_as_its_command(cluster):
    for node in (None, "node3"):
        assert cluster.run("sh", "-c", "exit 7", node=node).returncode == 7
        assert cluster.output("cat", node=node, input="through") == "through"
        assert cluster.output("pwd", node=node) == str(cluster.shared)
        with cluster.popen(
            "sh", "-c", "trap 'echo caught; exit 3' TERM; echo ready; sleep 600 & wait", node=node
        ) as one:
            assert one.stdout.readline() == "ready\n"
            one.send_signal(signal.SIGTERM)
            assert one.stdout.readline() == "caught\n"
            assert one.wait(60) == 3
    refused = cluster.run("true", node="node9")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_other_users_run_jobs(cluster):
    assert cluster.output("srun", "id", "-u", user="nobody") == "65534"
    job = submit(cluster, "--wrap=id -u", user="nobody")
    out = cluster.shared / f"{job}.out"
    wait_until(lambda: lines(out) == ["65534"])
    assert out.stat().st_uid == 65534
    wait_until(lambda: "nobody" in cluster.output("sacct", "--noheader", f"--jobs={job}", "--format=User"))


def test_partitions(cluster):
    shown = {}
    for line in cluster.output("scontrol", "--oneliner", "show", "partition").splitlines():
        values = dict(word.split("=", 1) for word in line.split())
        shown[values["PartitionName"]] = values
    assert set(shown) == {"main", "low", "patient", "high", "short"}
    assert [name for name, values in shown.items() if values["Default"] == "YES"] == ["main"]
    assert shown["short"]["MaxTime"] == "00:05:00"
    assert shown["low"]["PreemptMode"] == "REQUEUE"
    refused = cluster.run("sbatch", "--partition=short", "--time=10", "--wrap=true")
    assert "time limit" in refused.stderr


def test_high_preempts_low(cluster):
    low = submit(cluster, "--partition=low", "--nodes=3", "--exclusive", "--requeue", "--wrap=sleep 600")
    wait_until(lambda: f"{low} RUNNING" in cluster.squeue())
    cluster.output("srun", "--partition=high", "--nodes=1", "--exclusive", "true")
    wait_until(lambda: "Restarts=1" in cluster.output("scontrol", "show", "job", low))
    cluster.output("scancel", low)
    wait_until(lambda: {state(cluster, node) for node in NODES} == {"idle"})


def test_a_crashed_node_loses_its_jobs_and_comes_back_empty(cluster):
    log = cluster.shared / "crash.log"
    script = f"touch /tmp/left; hostname >> {log}; test $SLURM_RESTART_COUNT || sleep 600"
    job = submit(cluster, "--requeue", "--nodes=1", f"--wrap={script}")
    wait_until(lambda: lines(log))
    node = lines(log)[0]
    cluster.crash(node)
    try:
        assert call("crash", cluster.folder, node).returncode == 2
        wait_until(lambda: state(cluster, node).startswith("down"))
        wait_until(lambda: f"{job} COMPLETED" in cluster.squeue())
        assert len(set(lines(log))) == 2
    finally:
        cluster.restore(node)
    wait_until(lambda: state(cluster, node) == "idle")
    assert "left" not in cluster.output("ls", "/tmp", node=node).split()
    assert cluster.output("srun", f"--nodelist={node}", "hostname") == node
    assert call("restore", cluster.folder, node).returncode == 2


def test_a_running_cluster_is_not_started_again(cluster):
    again = call("up", cluster.folder)
    assert again.returncode == 2
    assert again.stderr.count("\n") == 1
    assert "down" in again.stderr
    assert cluster.output("srun", "hostname") in NODES


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_up_that_is_killed_halfway_leaves_nothing(cluster, number):
    # Beside the running cluster, which must not notice.
    with tempfile.TemporaryDirectory(prefix="dc-", dir="/var/tmp") as name:
        folder = Path(name)
        up = subprocess.Popen([sys.executable, COMMANDS / "up", folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until((folder / "run" / "mariadbd.process").exists)
        up.send_signal(number)
        up.communicate(timeout=300)
        if number == signal.SIGKILL:
            assert call("down", folder).returncode == 0
        assert_nothing_is_left(folder)
    assert {state(cluster, node) for node in NODES} == {"idle"}
