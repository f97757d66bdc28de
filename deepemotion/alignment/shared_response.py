"""Common response spaces of several brains that perceived the same film: shared response model and Procrustes.

X (V, T) are a subject's volumes at T common moments. A subject's map is an orthonormal basis W (V, K) of its own voxel
space: `W.T @ x` are the K features of any of its volumes x. Every map here is X @ weights with weights (T, K), so
the Gram matrix X.T @ X (T, T) is all that has to be known of the voxels: nothing grows with V, let alone V x V, and
no information is lost (Richard et al. 2019, arXiv:1909.12537, reduce the data to T dimensions for the same reason).
Gram matrices and everything else are float64 on the CPU.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor

# Twice BrainIAK's default for the shared response model.
ROUNDS = 20
_LEAST_NOISE = 1e-6  # of a subject's variance

Method = Literal["procrustes", "srm"]


def template(method: Method, grams_TT: Sequence[Tensor], features: int, voxels: int) -> Tensor:
    """Return the common moments' features (K, T) in the space that these subjects have in common."""
    return shared_response(grams_TT, features, voxels) if method == "srm" else common_components(grams_TT, features)


def fit(method: Method, template_KT: Tensor, gram_TT: Tensor) -> Tensor:
    """Return the weights (T, K) of a subject's map into the template, to which it need not contribute."""
    if method == "srm":
        return polar(template_KT, gram_TT)
    weights_TK, own_KT = _components(gram_TT, len(template_KT))
    return weights_TK @ _rotation(own_KT, template_KT)


def shared_response(grams_TT: Sequence[Tensor], features: int, voxels: int) -> Tensor:
    """Return the probabilistic shared response model's response (K, T) to the common moments.

    Chen et al. 2015 (NeurIPS 28:460): x = W s + e with s ~ N(0, Sigma), e ~ N(0, rho^2) and W orthonormal,
    fitted by expectation maximisation; without a mean, since volumes are centred per run. Subjects are weighted by
    their noise. It starts from the leading time courses of all subjects together instead of random maps, so the result
    depends on no seed.
    """
    moments = len(grams_TT[0])
    trace = [float(gram_TT.trace()) for gram_TT in grams_TT]
    together_TT = torch.zeros_like(grams_TT[0])
    for gram_TT, power in zip(grams_TT, trace, strict=True):
        together_TT += gram_TT / power
    response_KT = leading(together_TT, features)[1].T
    noise = [power / (moments * voxels) for power in trace]
    covariance_KK = None
    for _ in range(ROUNDS):
        own_KT = [polar(response_KT, gram_TT).T @ gram_TT for gram_TT in grams_TT]
        if covariance_KK is None:
            mean_KT = torch.stack(own_KT).mean(dim=0)
            covariance_KK = mean_KT @ mean_KT.T / moments
        else:
            expected = moments * float(covariance_KK.trace())
            # Data that the response explains completely would have no noise, and an infinite weight.
            noise = [
                max(power - 2 * float((own * response_KT).sum()) + expected, _LEAST_NOISE * power) / (moments * voxels)
                for power, own in zip(trace, own_KT, strict=True)
            ]
        precision = sum(1 / variance for variance in noise)
        identity_KK = torch.eye(features, dtype=torch.float64)
        # (Sigma^-1 + p I)^-1 = Sigma (I + p Sigma)^-1, which also holds if a feature has vanished.
        posterior_KK = torch.linalg.solve(identity_KK + precision * covariance_KK, covariance_KK)
        weighted_KT = torch.stack([own / variance for own, variance in zip(own_KT, noise, strict=True)]).sum(dim=0)
        response_KT = posterior_KK @ weighted_KT
        covariance_KK = posterior_KK + response_KT @ response_KT.T / moments
    return response_KT


def common_components(grams_TT: Sequence[Tensor], features: int) -> Tensor:
    """Return the hyperaligned principal components (K, T) of the common moments.

    Haxby et al. 2011 (Neuron 72:404) in the space of each subject's leading K components, as Procrustes over all voxels
    of the brain is not feasible: each subject in turn is rotated to the mean of those before, then all are rotated to
    the mean of the others until the mean converges. Subjects are in the order of their labels.
    """
    components_KT = [_components(gram_TT, features)[1] for gram_TT in grams_TT]
    mean_KT = components_KT[0].clone()
    for count, own_KT in enumerate(components_KT[1:], start=1):
        mean_KT += (_rotation(own_KT, mean_KT).T @ own_KT - mean_KT) / (count + 1)
    rotated = [_rotation(own_KT, mean_KT).T @ own_KT for own_KT in components_KT]
    for _ in range(ROUNDS if len(rotated) > 1 else 0):
        for i, own_KT in enumerate(components_KT):
            others_KT = torch.stack(rotated).sum(dim=0) - rotated[i]
            rotated[i] = _rotation(own_KT, others_KT).T @ own_KT
    return torch.stack(rotated).mean(dim=0)


def polar(response_KT: Tensor, gram_TT: Tensor) -> Tensor:
    """Return the weights of the orthonormal W for which `W.T @ X` is nearest to the response.

    That is the polar factor of M = X S', which is M (M' M)^(-1/2), and M' M = S X'X S'.
    """
    square_KK = response_KT @ gram_TT @ response_KT.T
    values_K, vectors_KK = torch.linalg.eigh(square_KK)
    # A direction that is absent from the subject's data is left out of its map.
    present_K = values_K > 1e-12 * values_K[-1]
    root_K = torch.where(present_K, values_K.clamp(min=torch.finfo(torch.float64).tiny).rsqrt(), 0)
    weights_TK: Tensor = response_KT.T @ (vectors_KK * root_K) @ vectors_KK.T
    return weights_TK


def leading(gram_TT: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest eigenvalues, descending, and their vectors (T, count)."""
    # Imported here: 25 MB and a quarter of a second that a trial without alignment need not spend.
    from scipy.sparse.linalg import eigsh

    # Computing all of them would take minutes for a whole film; a fixed start makes the result reproducible.
    values, vectors = eigsh(gram_TT.numpy(), k=count, v0=np.ones(len(gram_TT)))
    return torch.from_numpy(values[::-1].copy()), torch.from_numpy(vectors[:, ::-1].copy())


def _components(gram_TT: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the weights (T, K) of a subject's principal components and their time courses (K, T)."""
    values_K, vectors_TK = leading(gram_TT, count)
    values_K = values_K.clamp(min=torch.finfo(torch.float64).eps * float(values_K[0]))
    return vectors_TK * values_K.rsqrt(), (vectors_TK * values_K.sqrt()).T


def _rotation(own_KT: Tensor, target_KT: Tensor) -> Tensor:
    """Return the orthogonal R (K, K) for which `R.T @ own` is nearest to the target (Schoenemann 1966)."""
    left_KK, _, right_KK = torch.linalg.svd(own_KT @ target_KT.T)
    rotation_KK: Tensor = left_KK @ right_KK
    return rotation_KK
