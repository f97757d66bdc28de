"""Fixtures that several test folders share."""

import os
from pathlib import Path

import pytest

from deepemotion import simulation


@pytest.fixture(scope="session")
def shared_annotations() -> Path:
    """Return the folder of the real observers' files: required in CI, optional elsewhere."""
    folder = Path(__file__).resolve().parents[1] / ".." / "shared" / "data" / "annotations" / "raw"
    if not folder.is_dir():
        assert os.environ.get("CI") != "true", f"{folder} is missing"
        pytest.skip(f"{folder} is not here")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the root of a simulated dataset (3 subjects, 8 runs of 20 volumes) with a strong signal. Read it only."""
    root = tmp_path_factory.mktemp("simulated") / "tiny"
    parameters = simulation.Parameters(subjects=3, shape=(12, 14, 10), volumes_per_run=20, signal=5.0)
    simulation.simulate(root, parameters, jobs=1)
    return root
