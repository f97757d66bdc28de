"""Checkpoints: whole whatever tears or kills."""

from pathlib import Path

import pytest
import torch

from deepemotion.training.checkpoints import Checkpoints


def test_a_torn_checkpoint_falls_back_to_the_one_before(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for epoch in (5, 6):
        checkpoints.save({"epoch": epoch, "model": {"weight": torch.ones(100)}}, best=False)
    assert checkpoints.load()["epoch"] == 6
    whole = checkpoints.last.read_bytes()
    for torn in (whole[: len(whole) // 2], b"", b"not a checkpoint", b"torn"):
        checkpoints.last.write_bytes(torn)
        assert checkpoints.load()["epoch"] == 5
    assert checkpoints.drop_unreadable() == [checkpoints.last]
    # Killed before the next one is whole: the good one is still there.
    with pytest.raises(KeyboardInterrupt):
        checkpoints.save(_Killing(), best=False)
    assert checkpoints.load()["epoch"] == 5
    checkpoints.previous.unlink()
    assert checkpoints.load() is None


class _Killing(dict):
    def __reduce_ex__(self, protocol):
        raise KeyboardInterrupt


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
    assert checkpoints.load()["epoch"] == 1
    # The second epoch is trained again, and is the best again.
    checkpoints.save({"epoch": 2}, best=True)
    assert [torch.load(path)["epoch"] for path in (checkpoints.last, checkpoints.best)] == [2, 2]


def test_what_cannot_be_read_at_the_moment_is_not_removed(tmp_path, monkeypatch):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"epoch": 1}, best=False)

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(torch, "load", fail)
    assert checkpoints.drop_unreadable() == []
    assert checkpoints.load() is None
    monkeypatch.undo()
    assert checkpoints.load()["epoch"] == 1
