"""The registry of models. To add a model, add a file in this folder and an entry below."""

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
    """A model's class (`module:Class`, imported when it is built), and its costs, for planning without torch.

    Costs are the values held per sample at a step's peak, per voxel of the dense input volume, and parameters: some
    per voxel, and `parameters` at any shape. The class takes shape and classes and, if it `needs_atlas`, the atlas's
    path and the grid. Each side of a volume must have at least `least_side` voxels. Those that are `for_controls` need
    no neighbours of a voxel, so they can take the features of a control as well.
    """

    target: str
    activations_per_voxel: float
    parameters_per_voxel: float = 0.0
    parameters: int = 0
    needs_atlas: bool = False
    least_side: int = 1
    for_controls: bool = False


REGISTRY = {
    # The backward pass keeps 54 values per voxel; with gradients, and an allocator that keeps its pages, the peak
    # measured at the true shape (batch 8) was 127. Parameters: the first fully connected layer's, 64 * 128 / 8^3, and
    # the kernels.
    "cnn3d": Entry(
        "deepemotion.models.cnn3d:CNN3D",
        activations_per_voxel=127.0,
        parameters_per_voxel=16.0,
        parameters=70_000,
        least_side=8,
    ),
    # The peaks of the others were measured in the same way, those of the linear models at batch 16.
    "resnet3d-10": Entry(
        "deepemotion.models.resnet3d:resnet10", activations_per_voxel=65.0, parameters=14_400_000, least_side=8
    ),
    "resnet3d-18": Entry(
        "deepemotion.models.resnet3d:resnet18", activations_per_voxel=75.0, parameters=33_200_000, least_side=8
    ),
    "c3d": Entry("deepemotion.models.c3d:C3D", activations_per_voxel=140.0, parameters=4_100_000, least_side=8),
    # One weight per voxel and class, of five; one per region and class is negligible.
    "linear": Entry(
        "deepemotion.models.linear:VoxelRegression",
        activations_per_voxel=3.0,
        parameters_per_voxel=5.0,
        for_controls=True,
    ),
    # 32 hidden units.
    "mlp": Entry(
        "deepemotion.models.mlp:VoxelMLP", activations_per_voxel=3.0, parameters_per_voxel=32.0, for_controls=True
    ),
    "roi-linear": Entry("deepemotion.models.linear:RegionRegression", activations_per_voxel=2.5, needs_atlas=True),
}


def entry(model: ModelSettings) -> Entry:
    """Return the registry's entry. Raises UserError for an unknown name, and if a required atlas is missing."""
    if model.name not in REGISTRY:
        raise UserError(f"model.name {model.name!r}: no such model; available are {', '.join(REGISTRY)}")
    registered = REGISTRY[model.name]
    if registered.needs_atlas and model.atlas is None:
        raise UserError(f"model.name {model.name} needs model.atlas, a NIfTI label image on the data's grid")
    return registered


def require_fit(settings: TrialSettings) -> None:
    """Raise UserError for an unknown model, and for one that cannot use volumes with these settings."""
    registered = entry(settings.model)
    if settings.data.control is not None and not registered.for_controls:
        able = ", ".join(name for name, other in REGISTRY.items() if other.for_controls)
        raise UserError(
            f"model.name={settings.model.name}: the features of data.control={settings.data.control} are no volume; use"
            f" one of {able}"
        )
    if registered.needs_atlas and settings.data.downsample > 1:
        raise UserError(
            f"data.downsample={settings.data.downsample}: the borders of {settings.model.name}'s regions run through"
            " blocks of voxels; leave data.downsample at 1"
        )


def require_sides(model: ModelSettings, shape: tuple[int, int, int]) -> None:
    """Raise UserError if a side of a dense volume is too short for the model."""
    least = entry(model).least_side
    if min(shape) < least:
        raise UserError(f"{model.name}: a volume of {shape} is too small; each side must have at least {least} voxels")


def build(model: ModelSettings, shape: tuple[int, int, int], classes: int, grid: "Grid | None" = None) -> "nn.Module":
    """Build a model that maps dense volumes (B, 1, Z, Y, X) to logits (B, classes); `shape` is Z, Y, X.

    `grid` is the position of these volumes on the packed grid, for models with an atlas; without it they are on the
    packed grid itself. Raises UserError for an unknown name, a volume that is too small for the model, and an atlas
    that does not fit.
    """
    registered = entry(model)
    require_sides(model, shape)
    module, _, attribute = registered.target.partition(":")
    atlas = (Path(str(model.atlas)), grid) if registered.needs_atlas else ()
    built: nn.Module = getattr(importlib.import_module(module), attribute)(shape, classes, *atlas)
    return built
