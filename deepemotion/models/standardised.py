"""A model of features whose mean and SD over the training volumes are taken out before anything is learned."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepemotion.errors import UserError

# A feature with a smaller ratio of SD to mean does not vary: the rest is rounding in single precision.
_LEAST_VARIATION = 1e-5


class StandardisedModel(nn.Module):
    """Logits of standardised features z; subclasses define the features and what is made of them.

    z is (feature - mean) / (SD * `spread`), with `spread` a function of the number of features that vary over the
    training volumes; the others are left out. Call `standardise` with the training volumes before training.
    """

    def __init__(self, features: int, logits: nn.Module) -> None:
        super().__init__()
        self.mean_F: Tensor
        self.gain_F: Tensor
        self.register_buffer("mean_F", torch.zeros(features))
        self.register_buffer("gain_F", torch.full((features,), 1 / self.spread(features)))
        self.logits = logits

    def spread(self, varying: int) -> float:
        """Return the SD of a standardised feature as a divisor, where so many features vary."""
        raise NotImplementedError

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
        self.gain_F.copy_(torch.where(varies_F, 1 / (sd_F * self.spread(total)), 0))
        return self.describe(varies_F.cpu().numpy())

    def describe(self, varies_F: NDArray[np.bool_]) -> str:
        """Return a sentence that says which features vary, and are therefore used."""
        raise NotImplementedError
