"""Real SLURM clusters for the tests in this folder."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from devcluster import DevCluster, started
from study import LAUNCH, QUICK, Study, make_data, make_study

from launcher.run.directory import RunDirectory


@pytest.fixture(scope="session")
def cluster() -> Iterator[DevCluster]:
    """Return a cluster of 3 nodes with 8 CPUs and 2 GPUs each, with accounting. Leave its nodes and queue as found."""
    with started() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with 19 simulated subjects, packed and labelled, for studies on any cluster. Read it only."""
    folder = tmp_path_factory.mktemp("data")
    make_data(folder)
    return folder


@pytest.fixture(scope="session")
def study(cluster: DevCluster, data: Path) -> Study:
    """Return 19 packed subjects on the cluster, for launches under names of the test's own."""
    return make_study(cluster, data)


@pytest.fixture
def new_cluster() -> Iterator[Callable[..., DevCluster]]:
    """Return a function that starts a cluster with options such as `accounting=False`, for one test."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(started(**options))


@pytest.fixture(scope="session")
def local(study: Study) -> RunDirectory:
    """Return a run of the same trials on this machine: what every run on the cluster has to give."""
    words = ["--all-subjects", *study.words("local", QUICK, "--on", "local")]
    done = subprocess.run([LAUNCH, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return study.run("local")
