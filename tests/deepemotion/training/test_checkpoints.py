"""Checkpoints: complete and as they were written, whatever truncates, damages or kills."""

import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deepemotion.errors import UserError
from deepemotion.training.checkpoints import Checkpoints, read


def epoch_of(checkpoints):
    """Return the epoch of the newest checkpoint, None if there is none."""
    newest = checkpoints.load()
    return None if newest is None else newest[1]["epoch"]


@pytest.fixture
def checkpoints(tmp_path):
    """Checkpoints of the epochs 5 and 6."""
    checkpoints = Checkpoints(tmp_path)
    for epoch in (5, 6):
        checkpoints.save({"epoch": epoch, "model": {"weight": torch.arange(3000.0) + epoch}}, best=epoch == 6)
    return checkpoints


def test_a_truncated_checkpoint_falls_back_to_the_one_before(checkpoints):
    assert epoch_of(checkpoints) == 6
    complete = checkpoints.last.read_bytes()
    for truncated in (complete[: len(complete) // 2], complete[:-20], b"", b"not a checkpoint", b"torn"):
        checkpoints.last.write_bytes(truncated)
        damaged = []
        path, state = checkpoints.load(lambda path, why, damaged=damaged: damaged.append(path))
        assert (path, state["epoch"], damaged) == (checkpoints.previous, 5, [checkpoints.last])
    checkpoints.last.unlink()
    # Killed before the next one is complete: the good one is still there.
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(_Killing(), best=False)
    assert epoch_of(checkpoints) == 5
    checkpoints.previous.unlink()
    assert checkpoints.load() is None


class _Killing(dict):
    def __reduce_ex__(self, protocol):
        raise KeyboardInterrupt


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_changes_no_value_that_is_read(checkpoints, position, bit):
    complete = checkpoints.best.read_bytes()
    damaged = bytearray(complete)
    damaged[int(position * len(complete))] ^= 1 << bit
    checkpoints.last.write_bytes(damaged)
    try:
        path, state = checkpoints.load()
        weight = torch.arange(3000.0) + (6 if path == checkpoints.last else 5)
        assert torch.equal(state["model"]["weight"], weight)
    finally:
        checkpoints.last.unlink()
        checkpoints.last.write_bytes(complete)


@pytest.mark.parametrize("start", [0, 4096, -4096])
def test_a_zeroed_page_is_noticed(checkpoints, start):
    content = bytearray(checkpoints.last.read_bytes())
    content[start : start + 4096 or None] = bytes(4096)
    for path in (checkpoints.last, checkpoints.best):
        path.unlink()
        path.write_bytes(content)
    assert epoch_of(checkpoints) == 5


def without_checksum(path):
    """Make a checkpoint one of an earlier version: as torch writes it."""
    state = torch.load(path)
    path.unlink()
    torch.save(state, path)


def test_checkpoints_without_a_checksum_stay_readable_and_are_checked_too(checkpoints):
    without_checksum(checkpoints.last)
    assert epoch_of(checkpoints) == 6
    content = checkpoints.last.read_bytes()
    place = content.index(torch.arange(3000.0).add(6).numpy().tobytes())
    checkpoints.last.write_bytes(content[:place] + b"\x01" + content[place + 1 :])
    assert torch.load(checkpoints.last)["epoch"] == 6, "torch notices nothing"
    assert epoch_of(checkpoints) == 5


def test_torch_and_zip_read_a_checkpoint_and_a_copy_keeps_its_checksum(checkpoints, tmp_path):
    assert torch.load(checkpoints.best, weights_only=True)["epoch"] == 6
    assert zipfile.ZipFile(checkpoints.best).testzip() is None
    copy = shutil.copy(checkpoints.best, tmp_path / "copy.pt")
    assert read(Path(copy))["epoch"] == 6


def test_an_intact_file_of_something_else_is_named(checkpoints):
    for content in (torch.nn.Linear(1, 1), [1, 2], torch.ones(1)):
        torch.save(content, checkpoints.last)
        with pytest.raises(UserError, match=r"last\.pt: not a checkpoint of this training") as error:
            checkpoints.load()
        assert "\n" not in str(error.value)


def test_a_kill_between_the_best_and_the_last_checkpoint_loses_neither(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"epoch": 1}, best=True)
    whole = Path.replace

    def replace(path, target):
        if Path(target) == checkpoints.last:
            raise KeyboardInterrupt
        return whole(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save({"epoch": 2}, best=True)
    monkeypatch.undo()
    assert epoch_of(checkpoints) == 1
    # The second epoch is trained again, and is the best again.
    checkpoints.save({"epoch": 2}, best=True)
    assert [read(path)["epoch"] for path in (checkpoints.last, checkpoints.best)] == [2, 2]


def test_what_cannot_be_read_at_the_moment_is_not_damaged(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"epoch": 1}, best=False)

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    damaged = []
    monkeypatch.setattr(torch, "load", fail)
    assert checkpoints.load(lambda path, why: damaged.append(path)) is None
    assert damaged == []
    monkeypatch.undo()
    assert epoch_of(checkpoints) == 1
