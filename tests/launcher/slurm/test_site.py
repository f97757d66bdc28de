"""What a cluster says of itself, and what a profile may ask of it. The rows are what sinfo 22.05 printed."""

import shlex

import pytest

from deepemotion.errors import UserError
from launcher.slurm.cluster_profile import ClusterProfile, read
from launcher.slurm.partitions import read_site
from launcher.slurm.site import check

ROWS = """\
main*|up|infinite|2|8|6000|gpu:2|a100,ib
main*|up|infinite|1|1024|131072|gpu:tesla:2|v100
low|up|2-00:00:00|2|8|6000|gpu:2|a100,ib
off|down|1:30:00|1|1024|131072|gpu:tesla:2|v100
short|up|15:00|1|1024|131072|gpu:tesla:2|v100
none|up|15:00|0|0|0|(null)|(null)
cpu|up|infinite|4|64|256000|(null)|(null)
"""
CONFIGURATION = """\
Configuration data as of 2026-11-23T08:44:05
JobSubmitPlugins        = (null)
MaxArraySize            = 1001
MaxJobCount             = 10000
"""


def rows(text):
    return f"printf %s {shlex.quote(text)}"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Return a function that puts a sinfo and a scontrol on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def put(sinfo=rows(ROWS), scontrol=rows(CONFIGURATION)):
        for name, script in (("sinfo", sinfo), ("scontrol", scontrol)):
            (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (folder / name).chmod(0o755)

    return put


@pytest.fixture
def site(tools):
    tools()
    return read_site()


def profile(**asked):
    return ClusterProfile.model_validate({"time": 60, "cpus_per_node": 2, **asked})


def test_no_sinfo_no_site(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_site() is None


def test_a_site_is_read(site):
    assert list(site.partitions) == ["main", "low", "off", "short", "none", "cpu"]
    main, low = site.partitions["main"], site.partitions["low"]
    assert (main.default, low.default) == (True, False)
    assert (main.time_min, low.time_min, site.partitions["short"].time_min) == (None, 2880, 15)
    assert [group.count for group in main.nodes] == [2, 1]
    assert main.nodes[1].cpus == 1024
    assert main.nodes[1].memory_mb == 131072
    assert main.nodes[1].gpus == {"tesla": 2}
    assert main.nodes[0].features == {"a100", "ib"}
    assert site.partitions["cpu"].nodes[0].features == frozenset()
    assert site.max_array_size == 1001


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("gpu:4", {"": 4}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:a100:2(S:0,2),gpu:v100:1(S:1),shard:8", {"a100": 2, "v100": 1}),
        ("craynetwork:4,gpu:no_consume:2", {"": 2}),
        ("gpu", {"": 1}),
        ("fpga:gpu:2", {}),
    ],
)
def test_gpus_are_counted_by_type(tools, gres, gpus):
    tools(rows(f"main*|up|infinite|2|8|6000|{gres}|(null)\n"))
    assert read_site().partitions["main"].nodes[0].gpus == gpus


def test_sinfo_is_asked_for_numbers_of_all_nodes(tools, tmp_path, monkeypatch):
    monkeypatch.setenv("SINFO_PARTITION", "low")
    tools(f'echo "$@" > {tmp_path}/said; env | grep ^SINFO_ >> {tmp_path}/said; {rows(ROWS)}')
    read_site()
    words = (tmp_path / "said").read_text().split()
    assert {"--noheader", "--all", "--exact", "--noconvert"} < set(words)
    assert not any(word.startswith("SINFO_") for word in words)


@pytest.mark.parametrize(
    ("line", "size"), [("MaxArraySize            = 20001", 20001), ("MaxArraySize = (null)", 1001), ("", 1001)]
)
def test_the_largest_array(tools, line, size):
    tools(scontrol=rows(f"{line}\n"))
    assert read_site().max_array_size == size


def test_a_cluster_that_does_not_answer(tools):
    tools('echo "slurm_load_partitions: Unable to contact slurm controller (connect failure)" >&2; exit 1')
    with pytest.raises(UserError) as caught:
        read_site()
    assert str(caught.value) == (
        "sinfo fails, so SLURM cannot be reached from here: "
        "slurm_load_partitions: Unable to contact slurm controller (connect failure)"
    )


def test_other_failures_are_one_line(tools):
    tools(scontrol="exit 3")
    with pytest.raises(UserError, match=r"^scontrol fails, .*: exit code 3$"):
        read_site()
    tools("echo 'main|up|infinite'")
    with pytest.raises(UserError, match=r"^sinfo: its row 'main\|up\|infinite' does not have the form"):
        read_site()


def test_a_sinfo_that_hangs(tools, monkeypatch):
    monkeypatch.setattr("launcher.slurm.partitions._TIMEOUT_S", 0.2)
    tools("exec sleep 60")
    with pytest.raises(UserError, match="has not answered"):
        read_site()


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"partition": "main", "nodes": 3, "time": "30-00:00:00"},
        {"partition": "low", "time": "2-00:00:00"},
        {"partition": "short,main", "time": 20},
        {"gpu_type": "tesla", "gpus_per_node": 2, "memory_gb": 128, "cpus_per_node": 1024},
        {"memory_gb": 5.8, "nodes": 3},
        {"constraint": "a100&ib", "nodes": 2},
        {"constraint": "ib|v100", "nodes": 3},
        {"constraint": "[rack1*2&rack2*2]"},
        {"partition": "cpu"},
    ],
)
def test_what_fits_passes(site, asked):
    check(profile(**asked), site)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"partition": "man"}, "partition man: the site has no such partition; did you mean main? (it has main, low,"),
        ({"partition": "main,xyz"}, "partition xyz: the site has no such partition (it has main, low, off,"),
        ({"partition": "off"}, "partition off is down and starts no jobs"),
        ({"partition": "none", "time": 5}, "partition none has no nodes"),
        ({"partition": "low", "time": "3-00:00:00"}, "partition low allows 2-00:00:00; time requests 3-00:00:00"),
        ({"partition": "short,low", "time": 2881}, "partition short allows 00:15:00; time requests 2-00:01:00"),
        ({"cpus_per_node": 1025}, "partition main has nodes of at most 1024 CPUs; cpus_per_node requests 1025"),
        ({"partition": "low", "memory_gb": 5.9}, "partition low has nodes of at most 5.8 GB; memory_gb requests 5.9"),
        ({"gpus_per_node": 3}, "partition main has nodes of at most 2 GPUs; gpus_per_node requests 3"),
        (
            {"gpus_per_node": 3, "gpu_type": "tesla"},
            "partition main has nodes of at most 2 GPUs of type tesla; gpus_per_node requests 3",
        ),
        (
            {"gpus_per_node": 1, "gpu_type": "h100"},
            "partition main has no GPUs of type h100; it has tesla, untyped ones",
        ),
        ({"gpus_per_node": 1, "partition": "cpu"}, "partition cpu has no GPUs"),
        (
            {"constraint": "a100&v100"},
            "partition main has no node with the features of constraint a100&v100; its features are: a100, ib, v100",
        ),
        ({"constraint": "x|y", "partition": "cpu"}, "partition cpu has no node with the features of constraint x|y"),
        ({"nodes": 4}, "partition main has 3 nodes; nodes requests 4"),
        (
            {"nodes": 3, "memory_gb": 6},
            "partition main has 3 nodes, 1 of them with what the profile requests of each; nodes requests 3",
        ),
        (
            {"cpus_per_node": 16, "constraint": "ib"},
            "partition main has 3 nodes, 0 of them with what the profile requests of each; nodes requests 1",
        ),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(site, asked, message):
    with pytest.raises(UserError) as caught:
        check(profile(**asked), site)
    assert str(caught.value).startswith(f"cluster profile: {message}")
    assert "\n" not in str(caught.value)


def test_without_a_default_a_partition_must_be_named(tools):
    tools(rows(ROWS.replace("main*", "main")))
    with pytest.raises(UserError, match=r"partition: the site has no default; name one of main, low"):
        check(profile(), read_site())


def test_a_plugin_may_choose_the_partition(tools):
    tools(scontrol=rows(CONFIGURATION.replace("(null)", "lua")))
    check(profile(gpus_per_node=8), read_site())
    with pytest.raises(UserError, match="at most 2 GPUs"):
        check(profile(gpus_per_node=8, partition="main"), read_site())


def test_the_devclusters_profile_fits_it(tools):
    tools(rows("main*|up|infinite|3|8|6000|gpu:2|(null)\n"))
    check(read("devcluster"), read_site())
