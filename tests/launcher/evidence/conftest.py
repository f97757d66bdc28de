"""Synthetic tables for the tests of evidence."""

import pytest
from synthetic_study import Study


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path / "predictions.parquet")
