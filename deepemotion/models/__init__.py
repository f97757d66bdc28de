"""The networks, behind one registry: a further model is one file here and one entry below."""

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deepemotion.errors import UserError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Entry:
    """A model's class (`module:Class`, imported when built), and what it costs, for planning without torch.

    Costs are numbers per voxel of the dense input volume: values alive a sample at a step's peak, and parameters.
    """

    target: str
    activations_per_voxel: float
    parameters_per_voxel: float


REGISTRY = {
    # Backward keeps 54 values a voxel; with gradients, and an allocator that keeps its pages, the peak measured at the
    # true shape (batch 8) was 127. Parameters: the first fully connected layer's, 64 * 128 / 8^3.
    "cnn3d": Entry("deepemotion.models.cnn3d:CNN3D", activations_per_voxel=127.0, parameters_per_voxel=16.0),
}


def entry(name: str) -> Entry:
    """Return the registry's entry. Raises UserError that lists the names."""
    if name not in REGISTRY:
        raise UserError(f"model.name {name!r}: no such model; there are {', '.join(REGISTRY)}")
    return REGISTRY[name]


def build(name: str, shape: tuple[int, int, int], classes: int) -> "nn.Module":
    """Build a model that maps (B, 1, *shape) to logits (B, classes)."""
    module, _, attribute = entry(name).target.partition(":")
    model: nn.Module = getattr(importlib.import_module(module), attribute)(shape, classes)
    return model
