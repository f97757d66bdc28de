"""The base that faults and generated inputs start from, made once."""

import fault_base
import pytest
from input_examples import Examples


@pytest.fixture(scope="session")
def base(tiny_dataset, tmp_path_factory):
    """Return the undisturbed runs. Read them only."""
    return fault_base.build(tmp_path_factory.mktemp("faults") / "base", tiny_dataset)


@pytest.fixture(scope="session")
def examples(base, tmp_path_factory):
    """Return the valid files that inputs are made from."""
    return Examples.make(tmp_path_factory.mktemp("examples") / "base", base.finished.folder.parent)
