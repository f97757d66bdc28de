"""Maps of the voxels that a trained model uses for each emotion: Grad-CAM and integrated gradients.

Shape suffixes: B batch, Z Y X the dense volume, XYZ a volume on the axes of NIfTI.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from deepemotion.errors import UserError
from deepemotion.samples.samples import Samples

Volume = NDArray[np.float32]
# (one volume (1, 1, Z, Y, X), class index) -> attribution of the same shape, and its completeness error (nan: none)
Method = Callable[[Tensor, int], tuple[Tensor, float]]

GRAD_CAM, INTEGRATED_GRADIENTS = "Grad-CAM", "Integrated gradients"

# Voxels passed through the model at once: 7 volumes of the real shape, whose gradients need about 4 GiB in cnn3d.
_VOXELS_AT_A_TIME = 2**23
# Enough volumes for a mean image; reading all volumes of nineteen subjects would take minutes.
_MOST_FOR_BASELINE = 500


@dataclass(frozen=True)
class EmotionMap:
    """A method's mean attribution to one emotion over `n` volumes, (X, Y, Z) on the packed grid, zero outside the mask.

    Where the model saw blocks of voxels, each voxel has its block's value.

    `error` is the mean over volumes of |sum of attributions - what they should sum to| relative to the latter, nan
    if the method makes no such promise.
    """

    method: str
    emotion: str
    volume: Volume
    n: int
    error: float


def grad_cam(model: nn.Module) -> Method | None:
    """Return Grad-CAM at the model's last convolution, None if it has none (Selvaraju et al. 2017, ICCV).

    The channels of the layer's output are weighted by the mean gradient of the emotion's logit, summed, clipped at
    zero, and interpolated linearly to the volume's size: the map is as coarse as that layer.
    """
    attr = _captum()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv3d)]
    # A 1x1x1 convolution at the end is the shortcut of a residual block, beside what the block has learned.
    convolutions = [module for module in convolutions if max(module.kernel_size) > 1] or convolutions
    if not convolutions:
        return None
    method = attr.LayerGradCam(model, convolutions[-1])

    def attribute(x_11ZYX: Tensor, emotion: int) -> tuple[Tensor, float]:
        coarse = method.attribute(x_11ZYX, target=emotion, relu_attributions=True)
        return attr.LayerAttribution.interpolate(coarse, x_11ZYX.shape[2:], "trilinear"), float("nan")

    return attribute


def integrated_gradients(model: nn.Module, baseline_11ZYX: Tensor, steps: int) -> Method:
    """Return integrated gradients from a baseline volume (Sundararajan et al. 2017, ICML).

    The gradient of the emotion's logit, averaged over `steps` points on the straight line from the baseline to the
    volume, times the volume's difference from the baseline; it sums to the difference of the logits. For a linear
    model it is exactly weight times difference.
    """
    method = _captum().IntegratedGradients(model)

    def attribute(x_11ZYX: Tensor, emotion: int) -> tuple[Tensor, float]:
        attributed, delta = method.attribute(
            x_11ZYX,
            baseline_11ZYX,
            target=emotion,
            n_steps=steps,
            internal_batch_size=_at_a_time(x_11ZYX.numel()),
            return_convergence_delta=True,
        )
        explained = attributed.double().sum() - delta.double().sum()
        return attributed, float(delta.abs().sum() / explained.abs().clamp_min(1e-6))

    return attribute


def mean_volume(samples: Samples, rows: NDArray[np.int64]) -> Tensor:
    """Return the mean (1, 1, Z, Y, X) of the volumes `rows`, as the model sees them, or of 500 of them."""
    subset = rows[:: max(1, len(rows) // _MOST_FOR_BASELINE)]
    total = torch.zeros(())
    for _, x_B1ZYX in samples.batches(torch.from_numpy(subset), _at_a_time(math.prod(samples.shape))):
        total = total.to(samples.device) + x_B1ZYX.double().sum(dim=0, keepdim=True)
    return (total / len(subset)).float()


def average(samples: Samples, rows: NDArray[np.int64], name: str, method: Method, emotion: int) -> EmotionMap:
    """Return the mean map of `rows` for the class index `emotion`. Raises ValueError if there is no row."""
    if not len(rows):
        raise ValueError(f"no volume of class {emotion}")
    total = torch.zeros((), device=samples.device)
    errors = []
    for row in rows.tolist():
        # The next call overwrites the batch, and captum asks for its gradient.
        x_11ZYX = samples.dense(torch.tensor([row], device=samples.device)).clone()
        attributed, error = method(x_11ZYX, emotion)
        total = total + attributed.detach().double()
        errors.append(error)
    mean_V = (total / len(rows)).reshape(-1)[samples.voxels_V].float().cpu().numpy()
    return EmotionMap(name, samples.classes[emotion], samples.grid.to_packed(mean_V), len(rows), float(np.mean(errors)))


def overlap(volume: Volume, network: Volume, inside: NDArray[np.bool_]) -> float:
    """Return how well |map| finds a planted network: the area under the ROC curve over the voxels `inside`.

    The network's voxels are those with at least half of its peak; 0.5 is a random map, and 1 a map
    whose values there all exceed the others. nan if the network fills all of `inside`, or none of it.
    """
    planted = (network >= network.max() / 2)[inside]
    hits, others = int(planted.sum()), int((~planted).sum())
    if not hits or not others:
        return float("nan")
    ranks = rankdata(np.abs(volume[inside]))
    return float((ranks[planted].sum() - hits * (hits + 1) / 2) / (hits * others))


def _at_a_time(voxels: int) -> int:
    return min(64, max(1, _VOXELS_AT_A_TIME // voxels))


def _captum() -> Any:
    try:
        from captum import attr
    except ImportError as error:
        raise UserError("explaining a model needs captum: pip install 'deepemotion[explain]'") from error
    return attr
