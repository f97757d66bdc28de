"""Multinomial logistic regression, on voxels or on the means of an atlas's regions."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepemotion.errors import UserError
from deepemotion.samples import atlas
from deepemotion.samples.grid import Grid

# A feature with a smaller ratio of SD to mean does not vary: the rest is rounding in single precision.
_LEAST_VARIATION = 1e-5
# A line has room for these.
_MOST_NAMED = 20


class LinearModel(nn.Module):
    """Logits W z + b of standardised features z, with W and b initially zero; subclasses define the features.

    z is (feature - mean) / (SD * sqrt(F)), F the number of features that vary over the training volumes; the others
    are left out. Dividing by sqrt(F) makes a step of Adam, which moves all weights by the same amount, about as large
    for a million features as for a hundred, and the meaning of a weight decay independent of their number: a
    decay of d is scikit-learn's `C = 1 / (d * n)` on z with n training volumes. Call `standardise` with the training
    volumes before training.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.mean_F: Tensor
        self.gain_F: Tensor
        self.register_buffer("mean_F", torch.zeros(features))
        self.register_buffer("gain_F", torch.full((features,), features**-0.5))
        self.logits = nn.Linear(features, classes)
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)

    def features(self, x_B1ZYX: Tensor) -> Tensor:
        """Return the features (B, F) of dense volumes."""
        raise NotImplementedError

    def forward(self, x_B1ZYX: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        logits: Tensor = self.logits((self.features(x_B1ZYX) - self.mean_F).mul_(self.gain_F))
        return logits

    @torch.no_grad()
    def standardise(self, batches_B1ZYX: Iterable[Tensor]) -> str:
        """Set mean and SD to those of the volumes in all batches; return in a sentence which features vary.

        Raises UserError if none does.
        """
        count = 0
        origin_F = sum_F = squares_F = torch.zeros(0)
        for x_B1ZYX in batches_B1ZYX:
            x_BF = self.features(x_B1ZYX)
            if count == 0:
                # Sums of differences from one of the volumes keep digits that sums of raw intensities would lose.
                origin_F = x_BF[0].clone()
                sum_F = torch.zeros_like(origin_F, dtype=torch.float64)
                squares_F = torch.zeros_like(sum_F)
            difference_BF = x_BF - origin_F
            sum_F += difference_BF.sum(dim=0, dtype=torch.float64)
            squares_F += difference_BF.square_().sum(dim=0, dtype=torch.float64)
            count += len(x_BF)
        shift_F = sum_F / count
        mean_F = origin_F + shift_F
        sd_F = (squares_F / count - shift_F**2).clamp_(min=0).sqrt_()
        varies_F = sd_F > _LEAST_VARIATION * mean_F.abs()
        total = int(varies_F.sum())
        if not total:
            raise UserError(
                f"none of the {len(varies_F)} features varies over the training volumes: nothing to train on"
            )
        self.mean_F.copy_(mean_F)
        self.gain_F.copy_(torch.where(varies_F, 1 / (sd_F * total**0.5), 0))
        return self.describe(varies_F.cpu().numpy())

    def describe(self, varies_F: NDArray[np.bool_]) -> str:
        """Return a sentence that says which features vary, and are therefore used."""
        raise NotImplementedError


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
