"""The checkpoints of a training, from which it resumes after it was killed as if nothing had happened."""

import errno
import os
import pickle
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deepemotion.files import atomic_path

State = dict[str, Any]
_UNREADABLE = (RuntimeError, EOFError, LookupError, ValueError, pickle.UnpicklingError, zipfile.BadZipFile)


class Checkpoints:
    """The last two epochs and the best one, as files of one folder. Each is written completely or not at all."""

    def __init__(self, folder: Path) -> None:
        self.last = folder / "last.pt"
        self.previous = folder / "previous.pt"
        self.best = folder / "best.pt"

    def save(self, state: State, *, best: bool) -> None:
        """Make `state` the last checkpoint, the one before it the previous one, and `state` the best if so marked.

        Killed at any moment, it leaves a complete checkpoint. The best one is written before the last: an epoch that
        is not recorded is trained again, and marked as the best again.
        """
        with atomic_path(self.last) as temporary:
            _write(state, temporary)
            if best:
                with atomic_path(self.best) as same:
                    same.unlink()
                    os.link(temporary, same)
            if self.last.exists():
                self.last.replace(self.previous)

    def drop_unreadable(self) -> list[Path]:
        """Remove and return checkpoints that cannot be read: `save` would put them in the place of good ones.

        A file that the file system cannot deliver at the moment stays: it may be complete.
        """
        removed = []
        for path in (self.last, self.previous):
            with suppress(OSError):
                try:
                    _read(path)
                except _UNREADABLE:
                    path.unlink()
                    removed.append(path)
        return removed

    def load(self) -> State | None:
        """Return the newest readable state, None if there is none.

        The previous checkpoint is the fallback if the file system truncated the last one when the machine crashed.
        Only tensors and plain values are unpickled.
        """
        for path in (self.last, self.previous):
            with suppress(OSError, *_UNREADABLE):
                return _read(path)
        return None


def _read(path: Path) -> State:
    state: State = torch.load(path, map_location="cpu", weights_only=True)
    return state


def _write(state: State, path: Path) -> None:
    try:
        torch.save(state, path)
    except RuntimeError as error:
        # torch's message for a write that the system rejected names neither the file nor the reason.
        raise OSError(errno.EIO, "the disk is full or fails") from error


def capture(epoch: int, model: nn.Module, optimiser: torch.optim.Optimizer, history: list[dict[str, Any]]) -> State:
    """Return all that the epochs after `epoch` depend on. Shuffling needs no state: its seed is (seed, epoch)."""
    return {
        "epoch": epoch,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "history": history,
    }


def restore(state: State, model: nn.Module, optimiser: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Put a captured state back into the model, the optimiser and the generators; return the epochs' metrics so far."""
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    torch.set_rng_state(state["rng"])
    if torch.cuda.is_available() and len(state["cuda_rng"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda_rng"])
    history: list[dict[str, Any]] = state["history"]
    return history
