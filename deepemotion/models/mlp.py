"""A small multilayer perceptron on the standardised voxels of a volume, or on the features of a control."""

import math

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from deepemotion.models.standardised import StandardisedModel

HIDDEN = 32


class VoxelMLP(StandardisedModel):
    """One hidden layer of 32 units with a ReLU. What does not vary over the training volumes is left out."""

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        features = math.prod(shape)
        super().__init__(features, nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes)))

    def spread(self, varying: int) -> float:
        """Return 1: the weights begin at a size that suits features of SD 1."""
        return 1.0

    def features(self, x_B1ZYX: Tensor) -> Tensor:
        """Return the voxels (B, Z * Y * X)."""
        return x_B1ZYX.flatten(1)

    def describe(self, varies_F: NDArray[np.bool_]) -> str:
        """Return how many voxels vary, and are therefore used."""
        return f"{int(varies_F.sum())} of {len(varies_F)} voxels vary"
