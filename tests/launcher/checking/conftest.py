"""A trained run that tests may damage."""

import shutil

import pytest
import trained_run

from launcher.run.directory import RunDirectory


@pytest.fixture(scope="session")
def trained(tiny_packed, tiny_labels, tmp_path_factory):
    """A run of one subject, with a permutation, and of another: read it only."""
    path = tmp_path_factory.mktemp("runs") / "trained"
    plan = {"subjects": ["01", "02"], "pooled": True, "permutations": 1}
    return trained_run.make(path, tiny_packed, tiny_labels, **plan)


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the trained run, to be damaged."""
    shutil.copytree(trained.path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")
