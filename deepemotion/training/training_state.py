"""What a checkpoint holds: all that the epochs after it depend on. What is read is compared with the training first."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deepemotion.training.checkpoints import State, not_usable

History = list[dict[str, Any]]

# Without these metrics of each epoch, a training cannot be resumed, and has no result.
_FINITE = ("epoch", "accuracy/validation", "time/epoch")
_METRICS = (*_FINITE, "loss/train", "loss/validation")
_SETTINGS = ("lr", "weight_decay")


def capture(epoch: int, model: nn.Module, optimiser: torch.optim.Optimizer, history: History, training: str) -> State:
    """Return all that the epochs after `epoch` depend on. Shuffling needs no state: its seed is (seed, epoch).

    `training` identifies the settings and the data (`trial_directory.digest`).
    """
    return {
        "epoch": epoch,
        "model": model.state_dict(),
        "optimiser": optimiser.state_dict(),
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "history": history,
        "training": training,
    }


def restore(
    path: Path, state: State, model: nn.Module, optimiser: torch.optim.Optimizer, epochs: int, training: str
) -> History:
    """Restore model, optimiser and generators from the state of the checkpoint `path`; return its epochs' metrics.

    `epochs` is how many the training has in all. Raises UserError for the state of another training, and for what is
    no state.
    """
    # Checkpoints of earlier versions do not say which training they belong to.
    if state.get("training", training) != training:
        raise not_usable(path, "it was written with other settings or other data")
    try:
        history = _history(state, epochs)
        restore_model(path, state, model)
        _compare_optimiser(optimiser, state["optimiser"])
        optimiser.load_state_dict(state["optimiser"])
        torch.set_rng_state(state["rng"])
        if torch.cuda.is_available() and len(state["cuda_rng"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(state["cuda_rng"])
    except torch.OutOfMemoryError:
        raise
    except KeyError as error:
        raise not_usable(path, f"no {error} in it") from error
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise not_usable(path, " ".join(str(error).split())[:200]) from error
    return history


def restore_model(path: Path, state: State, model: nn.Module) -> None:
    """Restore a model alone. Raises UserError for the state of another model."""
    try:
        _compare_tensors(model.state_dict(), state["model"])
        model.load_state_dict(state["model"])
    except KeyError as error:
        raise not_usable(path, f"no {error} in it") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise not_usable(path, " ".join(str(error).split())[:200]) from error


def _history(state: State, epochs: int) -> History:
    history, epoch = state["history"], state["epoch"]
    if not (isinstance(history, list) and all(isinstance(metrics, dict) for metrics in history)):
        raise ValueError("its epochs are no list of metrics")
    if not 1 <= len(history) <= epochs or epoch != len(history):
        raise ValueError(f"it has {len(history)} epochs of {epochs}, the last one numbered {epoch}")
    for number, metrics in enumerate(history, start=1):
        if metrics.keys() != history[0].keys():
            raise ValueError(f"epoch {number} has other metrics than epoch 1")
        if not all(isinstance(value, int | float) for value in metrics.values()):
            raise ValueError(f"a metric of epoch {number} is no number")
        values = {name: metrics[name] for name in _METRICS}
        if values["epoch"] != number:
            raise ValueError(f"the metrics of epoch {number} are those of epoch {values['epoch']}")
        if not all(math.isfinite(values[name]) for name in _FINITE):
            raise ValueError(f"a metric of epoch {number} is not finite")
    return history


def _compare_tensors(own: Mapping[str, Tensor], read: Mapping[str, Tensor]) -> None:
    """Raise ValueError where the tensors that were read are not those of the model."""
    for name, tensor in own.items():
        if name not in read:
            raise ValueError(f"the model has {name}, the checkpoint has not")
        if read[name].shape != tensor.shape:
            raise ValueError(f"{name} is {tuple(read[name].shape)}, in the model {tuple(tensor.shape)}")
    further = [name for name in read if name not in own]
    if further:
        raise ValueError(f"it has {further[0]}, the model has not")


def _compare_optimiser(optimiser: torch.optim.Optimizer, read: Mapping[str, Any]) -> None:
    """Raise ValueError for the state of an optimiser with other settings or of other parameters."""
    groups = optimiser.param_groups
    if [len(group["params"]) for group in read["param_groups"]] != [len(group["params"]) for group in groups]:
        raise ValueError("its optimiser has other parameters")
    for own, other in zip(groups, read["param_groups"], strict=True):
        missing = sorted(own.keys() - other.keys())
        if missing:
            raise ValueError(f"its optimiser has no {missing[0]}")
        for name in _SETTINGS:
            if own[name] != other[name]:
                raise ValueError(f"its optimiser has {name} {other[name]}, not {own[name]}")
    parameters = [parameter for group in groups for parameter in group["params"]]
    if not set(read["state"]) <= set(range(len(parameters))):
        raise ValueError("its optimiser has other parameters")
    for index, values in read["state"].items():
        for name, value in values.items():
            # A count of steps has no axes.
            if value.ndim and value.shape != parameters[index].shape:
                raise ValueError(
                    f"{name} of its optimiser is {tuple(value.shape)}, not {tuple(parameters[index].shape)}"
                )
