"""Random changes of training batches on their device; (seed, epoch) decides them, so that resuming repeats them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deepemotion.settings.schema import AugmentSettings

# Part of the key of the random numbers: the order of an epoch's volumes comes from (seed, epoch) too.
_STREAM = 0xA06


@dataclass(frozen=True)
class Mix:
    """Which volume of its batch each volume was mixed with: `share` of it is its own, the rest the partner's."""

    share: float = 1.0
    partner_B: Tensor | None = None  # index in the batch

    def loss(self, criterion: Callable[[Tensor, Tensor], Tensor], logits_BC: Tensor, target_B: Tensor) -> Tensor:
        """Return the loss of the mixed targets; `target_B` are the unmixed ones, whatever `criterion` takes.

        A cross-entropy is linear in its target, so the loss of the soft target is a weighted sum of two losses
        (Zhang et al. 2018).
        """
        unmixed = criterion(logits_BC, target_B)
        if self.partner_B is None:
            return unmixed
        return self.share * unmixed + (1 - self.share) * criterion(logits_BC, target_B[self.partner_B])


class Augmentation:
    """The random changes of one epoch, batch after batch.

    `voxels_V` are the flat indices of the in-mask voxels in a dense volume; the batches are on its device. Nothing
    here waits for the device: small draws are made on the host, noise on the device with a seed drawn on the host.
    """

    def __init__(self, settings: AugmentSettings, seed: int, epoch: int, voxels_V: Tensor) -> None:
        self._settings = settings
        self._voxels_V = voxels_V
        self._rng = np.random.default_rng((_STREAM, seed, epoch))
        self._noise = torch.Generator(voxels_V.device).manual_seed(int(self._rng.integers(2**32)))

    def __call__(self, x_B1ZYX: Tensor) -> tuple[Tensor, Mix]:
        """Return the changed volumes and how they were mixed; `x_B1ZYX` may be changed inside the mask, not outside.

        The background of a batch is written once, in a buffer that is reused: moving voxels makes a new tensor.
        """
        settings = self._settings
        if settings.intensity:
            factor_B = self._rng.normal(1, settings.intensity, len(x_B1ZYX)).astype(np.float32)
            x_B1ZYX.mul_(self._on_device(factor_B).view(-1, 1, 1, 1, 1))
        if settings.noise:
            noise_BV = torch.empty(len(x_B1ZYX), len(self._voxels_V), device=x_B1ZYX.device)
            noise_BV.normal_(0, settings.noise, generator=self._noise)
            x_B1ZYX.view(len(x_B1ZYX), -1).index_add_(1, self._voxels_V, noise_BV)
        if settings.shift_voxels:
            largest = settings.shift_voxels
            shift_B3 = self._rng.integers(-largest, largest, (len(x_B1ZYX), 3), endpoint=True)
            x_B1ZYX = _shifted(x_B1ZYX, self._on_device(shift_B3), largest)
        if not settings.mixup:
            return x_B1ZYX, Mix()
        # Mixing with p and a share below a half is mixing with p's inverse and the rest: with the larger share, each
        # volume is mostly its own, and its own label stays the one to score.
        share = float(self._rng.beta(settings.mixup, settings.mixup))
        share = max(share, 1 - share)
        partner_B = self._on_device(self._rng.permutation(len(x_B1ZYX)))
        return torch.lerp(x_B1ZYX[partner_B], x_B1ZYX, share), Mix(share, partner_B)

    def _on_device(self, drawn: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(drawn).to(self._voxels_V.device, non_blocking=True)


def _shifted(x_B1ZYX: Tensor, shift_B3: Tensor, largest: int) -> Tensor:
    """Return the volumes moved by `shift_B3` voxels along Z, Y, X, at most `largest`; zeros move in."""
    padded = torch.nn.functional.pad(x_B1ZYX, (largest,) * 6)
    batch = torch.arange(len(x_B1ZYX), device=x_B1ZYX.device).view(-1, 1, 1, 1)
    z, y, x = (
        (torch.arange(side, device=x_B1ZYX.device) + largest - shift_B3[:, axis, None]).view(
            -1, *(side if other == axis else 1 for other in range(3))
        )
        for axis, side in enumerate(x_B1ZYX.shape[2:])
    )
    return padded[batch, 0, z, y, x].unsqueeze(1)
