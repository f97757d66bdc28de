"""The networks, behind one registry: a further model is one file here and one entry below."""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deepemotion.errors import UserError
from deepemotion.settings.schema import ModelSettings, TrialSettings

if TYPE_CHECKING:
    from torch import nn

    from deepemotion.samples.grid import Grid


@dataclass(frozen=True)
class Entry:
    """A model's class (`module:Class`, imported when built), and what it costs, for planning without torch.

    Costs are values alive a sample at a step's peak, per voxel of the dense input volume, and parameters: some per
    voxel, and `parameters` at any shape. The class takes shape and classes; if it `needs_atlas`, its path and the grid
    too. Each side of a volume must have `least_side` voxels.
    """

    target: str
    activations_per_voxel: float
    parameters_per_voxel: float = 0.0
    parameters: int = 0
    needs_atlas: bool = False
    least_side: int = 1


REGISTRY = {
    # Backward keeps 54 values a voxel; with gradients, and an allocator that keeps its pages, the peak measured at the
    # true shape (batch 8) was 127. Parameters: the first fully connected layer's, 64 * 128 / 8^3, and the kernels.
    "cnn3d": Entry(
        "deepemotion.models.cnn3d:CNN3D",
        activations_per_voxel=127.0,
        parameters_per_voxel=16.0,
        parameters=70_000,
        least_side=8,
    ),
    # The others' peaks were measured alike, the linear ones' at batch 16.
    "resnet3d-10": Entry(
        "deepemotion.models.resnet3d:resnet10", activations_per_voxel=65.0, parameters=14_400_000, least_side=8
    ),
    "resnet3d-18": Entry(
        "deepemotion.models.resnet3d:resnet18", activations_per_voxel=75.0, parameters=33_200_000, least_side=8
    ),
    "c3d": Entry("deepemotion.models.c3d:C3D", activations_per_voxel=140.0, parameters=4_100_000, least_side=8),
    # A weight for each voxel and each of five classes; one for each region and class is nothing beside a worker.
    "linear": Entry("deepemotion.models.linear:VoxelRegression", activations_per_voxel=3.0, parameters_per_voxel=5.0),
    "roi-linear": Entry("deepemotion.models.linear:RegionRegression", activations_per_voxel=2.5, needs_atlas=True),
}


def entry(model: ModelSettings) -> Entry:
    """Return the registry's entry. Raises UserError for an unknown name, and where an atlas is needed and not given."""
    if model.name not in REGISTRY:
        raise UserError(f"model.name {model.name!r}: no such model; there are {', '.join(REGISTRY)}")
    found = REGISTRY[model.name]
    if found.needs_atlas and model.atlas is None:
        raise UserError(f"model.name {model.name} needs model.atlas, a NIfTI label image on the data's grid")
    return found


def require_fit(settings: TrialSettings) -> None:
    """Raise UserError for a model that the registry does not know, and for one that cannot take such volumes."""
    if entry(settings.model).needs_atlas and settings.data.downsample > 1:
        raise UserError(
            f"data.downsample={settings.data.downsample}: the regions of {settings.model.name} have borders inside"
            " blocks of voxels; leave it at 1"
        )


def require_sides(model: ModelSettings, shape: tuple[int, int, int]) -> None:
    """Raise UserError where a dense volume's shape has a side that is too short for the model."""
    least = entry(model).least_side
    if min(shape) < least:
        raise UserError(f"{model.name}: a volume of {shape} is too small; each side must have {least} voxels")


def build(model: ModelSettings, shape: tuple[int, int, int], classes: int, grid: "Grid | None" = None) -> "nn.Module":
    """Build a model that maps dense volumes (B, 1, Z, Y, X) to logits (B, classes); `shape` is Z, Y, X.

    `grid` is where these volumes lie on the packed one, for models with an atlas; not given, they are that.
    Raises UserError for an unknown name, a volume that is too small for the model, and an atlas that does not fit.
    """
    found = entry(model)
    require_sides(model, shape)
    module, _, attribute = found.target.partition(":")
    atlas = (Path(str(model.atlas)), grid) if found.needs_atlas else ()
    built: nn.Module = getattr(importlib.import_module(module), attribute)(shape, classes, *atlas)
    return built
