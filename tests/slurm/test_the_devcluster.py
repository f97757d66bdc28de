"""The devcluster itself: that it is a SLURM cluster, fails as one does, and leaves nothing behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from devcluster import COMMANDS, call, wait_until

pytestmark = pytest.mark.slow

NODES = ["node1", "node2", "node3"]


def lines(path):
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def state(cluster, node):
    return cluster.output("sinfo", "--noheader", "--Node", f"--nodes={node}", "--partition=main", "--format=%T")


def submit(cluster, *words, user=None):
    return cluster.output("sbatch", "--parsable", "--output=%j.out", *words, user=user)


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


def test_two_that_lack_packages_install_them_one_after_the_other(tmp_path):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("unshare", "true"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    # As apt-get update does, it refuses to work beside another.
    apt = f"""#!/bin/sh
PATH=/usr/bin:/bin
mkdir {tmp_path}/busy || exit 100
sleep 0.5
case "$*" in *install*)
    echo "$*" >> {tmp_path}/installed
    for program in ip munged slurmctld slurmd sinfo slurmdbd mariadbd; do ln -s true {programs}/$program; done
esac
rmdir {tmp_path}/busy
"""
    (programs / "apt-get").write_text(apt, encoding="utf-8")
    (programs / "apt-get").chmod(0o755)
    words = [sys.executable, str(COMMANDS / "up"), "--check", "--install"]
    lacking = {**os.environ, "PATH": str(programs)}
    # A cluster's path is short.
    with tempfile.TemporaryDirectory(prefix="dc-", dir="/var/tmp") as folder:
        ups = [subprocess.Popen([*words, f"{folder}/{name}"], env=lacking) for name in ("one", "other")]
        assert [up.wait(timeout=120) for up in ups] == [0, 0]
    assert len(lines(tmp_path / "installed")) == 1


@pytest.mark.parametrize(
    ("words", "about"), [(["--nodes", "0"], "--nodes"), (["--share", "/nowhere"], "/nowhere"), (["--subnet", "x"], "x")]
)
def test_wrong_options_are_refused(tmp_path, words, about):
    refused = call("up", tmp_path / "new", *words)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert about in refused.stderr


def processes(field):
    """Yield what each process of the machine says about itself in a file or link of /proc."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            with contextlib.suppress(OSError):
                path = process / field
                yield str(path.readlink()) if path.is_symlink() else path.read_text(errors="replace")


def assert_nothing_is_left(folder, networks=(), cgroups=()):
    assert not [words for words in processes("cmdline") if f"{folder}\0" in words or f"{folder}/" in words]
    assert not [mounts for mounts in processes("mountinfo") if f"{folder} " in mounts or f"{folder}/" in mounts]
    assert not set(networks) & set(processes("ns/net"))
    assert not [path for path in cgroups if path.exists()]


def cgroup(cluster, node):
    """Return where the machine shows the node's own freezer hierarchy, or a path that never is."""
    for line in cluster.output("cat", "/proc/self/mountinfo", node=node).splitlines():
        _, _, _, root, target, *_ = line.split()
        if root.startswith("/devcluster-") and target.endswith("/freezer"):
            return Path(target + root)
    return Path("/none")


def test_all_users_see_what_is_shared_from_a_closed_folder(new_cluster):
    # As pytest's own folders, root's home is closed to others.
    with tempfile.TemporaryDirectory(prefix="closed-", dir="/var/tmp") as name:
        closed, shared = Path(name), Path(name, "a", "shared")
        shared.mkdir(parents=True)
        (shared / "text").write_text("seen", encoding="utf-8")
        (closed / "private").touch()
        assert closed.stat().st_mode & 0o777 == 0o700
        cluster = new_cluster(nodes=1, gpus=0, accounting=False, share=shared)
        for node in (None, "node1"):
            assert cluster.output("cat", shared / "text", node=node, user="nobody") == "seen"
            assert cluster.output("ls", closed, node=node) == "a"
    assert not [mounts for mounts in processes("mountinfo") if f"{closed} " in mounts]


def test_a_start_takes_nothing_from_a_database_beside_it(new_cluster):
    # MariaDB, when it starts, removes temporary tables that a crash has left in its folder for them.
    with tempfile.NamedTemporaryFile(prefix="#sql-temptable-", suffix=".MAI", dir="/tmp") as table:
        new_cluster(nodes=1, gpus=0)
        assert Path(table.name).exists()


def test_down_leaves_nothing(new_cluster):
    cluster = new_cluster(nodes=2, gpus=0, accounting=False, max_array_size=5)
    assert cluster.run("sacct").returncode != 0
    refused = cluster.run("sbatch", "--array=0-9", "--wrap=true")
    assert "Invalid job array specification" in refused.stderr
    submit(cluster, "--nodes=2", "--wrap=setsid sleep 600 & srun sleep 600")
    wait_until(lambda: "1 RUNNING" in cluster.squeue())
    hosts = (None, "node1", "node2")
    networks = [cluster.output("readlink", "/proc/self/ns/net", node=host) for host in hosts]
    cgroups = [cgroup(cluster, host) for host in hosts[1:]]
    assert len(set(networks)) == 3
    assert set(networks) <= set(processes("ns/net"))
    left = [cluster.popen("sh", "-c", "sleep 600 & wait", node=host) for host in hosts]
    cluster.crash("node2")
    assert call("down", cluster.folder).returncode == 0
    for one in left:
        one.communicate(timeout=60)
        assert one.returncode != 0
    assert_nothing_is_left(cluster.folder, networks, cgroups)
    assert call("down", cluster.folder).returncode == 0


def test_another_process_with_a_recorded_id_is_left_alone(tmp_path):
    (tmp_path / "run").mkdir()
    settings = {"nodes": 1, "share": []}
    (tmp_path / "devcluster.json").write_text(json.dumps(settings), encoding="utf-8")
    with subprocess.Popen(["sleep", "600"]) as innocent:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        (tmp_path / "run" / "slurmctld.process").write_text(f"{innocent.pid} {boot} 1\n", encoding="utf-8")
        assert call("down", tmp_path).returncode == 0
        assert innocent.poll() is None
        innocent.kill()


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


def test_a_start_that_fails_says_why_and_leaves_nothing(tmp_path):
    (tmp_path / "slurmctld").write_text("#!/bin/sh\necho no >&2\nexit 1\n", encoding="utf-8")
    (tmp_path / "slurmctld").chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="dc-", dir="/var/tmp") as name:
        folder = Path(name, "cluster")
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        try:
            failed = call("up", folder, "--no-accounting", env=environment)
            assert (failed.returncode, failed.stderr.count("\n")) == (2, 1)
            assert str(folder / "log" / "slurmctld.out") in failed.stderr
            assert lines(folder / "log" / "slurmctld.out") == ["no"]
            assert_nothing_is_left(folder)
        finally:
            # Where it has started after all.
            call("down", folder)
