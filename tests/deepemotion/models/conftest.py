"""What the tests of models share."""

import pytest
import torch


@pytest.fixture
def one_thread():
    """Steps this small lose more to the threads' waiting for each other than they win."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
