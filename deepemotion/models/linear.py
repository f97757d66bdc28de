"""Multinomial logistic regression, on voxels or on the means of an atlas's regions."""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepemotion.errors import UserError
from deepemotion.models.standardised import StandardisedModel
from deepemotion.samples import atlas
from deepemotion.samples.grid import Grid

# A line has room for these.
_MOST_NAMED = 20


class LinearModel(StandardisedModel):
    """Logits W z + b of standardised features z, with W and b initially zero; subclasses define the features.

    z is divided by sqrt(F), F the number of features that vary. That makes a step of Adam, which moves all weights by
    the same amount, about as large for a million features as for a hundred, and the meaning of a weight decay
    independent of their number: a decay of d is scikit-learn's `C = 1 / (d * n)` on z with n training volumes.
    """

    def __init__(self, features: int, classes: int) -> None:
        logits = nn.Linear(features, classes)
        nn.init.zeros_(logits.weight)
        nn.init.zeros_(logits.bias)
        super().__init__(features, logits)

    def spread(self, varying: int) -> float:
        """Return the square root of the number of features."""
        return float(varying**0.5)


class VoxelRegression(LinearModel):
    """Logistic regression on every voxel of the dense volume; those outside the mask do not vary and are left out."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__(math.prod(shape), classes)

    def features(self, x_B1ZYX: Tensor) -> Tensor:
        """Return the voxels (B, Z * Y * X)."""
        return x_B1ZYX.flatten(1)

    def describe(self, varies_F: NDArray[np.bool_]) -> str:
        """Return how many voxels vary, and are therefore used."""
        return f"{int(varies_F.sum())} of {len(varies_F)} voxels vary"


class RegionRegression(LinearModel):
    """Logistic regression on the mean of each region of an atlas.

    Voxels outside the mask are 0 in every volume, so they only scale a region's mean, and standardising removes the
    scale: the mask need not be known here. A region without a voxel in the mask does not vary and is left out.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int, atlas_file: Path, grid: Grid | None = None) -> None:
        region_P = atlas.read(atlas_file, shape if grid is None else grid.mask.shape[::-1])
        self.all_regions = np.unique(region_P[region_P > 0])
        self._coverage = "" if grid is None else _coverage(region_P, grid, atlas_file)
        region_V = region_P if grid is None else atlas.cut_out(region_P, grid)
        self.regions = np.unique(region_V[region_V > 0])
        super().__init__(len(self.regions), classes)
        order_V = np.argsort(region_V, kind="stable")[np.count_nonzero(region_V == 0) :]
        # Voxels sorted by region, so that slices can be summed: a scatter on a GPU adds in a different order each time.
        self.sizes: list[int] = np.unique(region_V[order_V], return_counts=True)[1].tolist()
        self.order_V: Tensor
        self.register_buffer("order_V", torch.from_numpy(order_V), persistent=False)

    def features(self, x_B1ZYX: Tensor) -> Tensor:
        """Return the mean (B, R) of each region, in the order of their numbers."""
        parts = x_B1ZYX.flatten(1)[:, self.order_V].split(self.sizes, dim=1)
        return torch.stack([part.mean(dim=1) for part in parts], dim=1)

    def describe(self, varies_F: NDArray[np.bool_]) -> str:
        """Return how many regions are used, and which are left out."""
        left_out = _named(np.setdiff1d(self.all_regions, self.regions[varies_F]))
        used = f"{int(varies_F.sum())} of {len(self.all_regions)} regions{self._coverage}"
        return f"{used}; left out, since no voxel in the mask varies: {left_out}" if left_out else used


def _coverage(region_P: NDArray[np.int64], grid: Grid, atlas_file: Path) -> str:
    """Return a few words on the voxels of an atlas that are in the mask, none if all are.

    Raises UserError for an atlas without a voxel in the mask.
    """
    inside, total = np.count_nonzero(region_P[grid.mask.ravel(order="F")]), np.count_nonzero(region_P)
    if not inside:
        names = np.unique(region_P[region_P > 0])
        raise UserError(
            f"{atlas_file}: no region of the atlas (model.atlas) has a voxel in the mask: {_named(names)}; give"
            " one that covers the packed brain"
        )
    return f" ({inside} of {total} voxels of the atlas are in the mask)" if inside < total else ""


def _named(regions: NDArray[np.int64]) -> str:
    more = f" and {len(regions) - _MOST_NAMED} more" if len(regions) > _MOST_NAMED else ""
    return ", ".join(map(str, regions[:_MOST_NAMED])) + more
