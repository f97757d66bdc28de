"""Starts and stops of a devcluster: it starts or says why not, and leaves nothing behind."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from devcluster import COMMANDS, call, wait_until
from devcluster_checks import assert_nothing_is_left, cgroup, lines, processes, submit

pytestmark = pytest.mark.slow


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
