"""The last hidden layer of a trained model for each volume, in principal components."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepemotion.labels.affect import Affect
from deepemotion.labels.table import Labels
from deepemotion.models.linear import LinearModel
from deepemotion.trained.trained import Trained

COMPONENTS = 5


@dataclass(frozen=True)
class Components:
    """The leading principal components of N volumes' activations: scores (N, K), and the shares (K,) of variance."""

    scores: NDArray[np.float64]
    explained: NDArray[np.float64]


@torch.inference_mode()
def activations(trained: Trained) -> NDArray[np.float32] | None:
    """Return the input of the model's last fully connected layer, (N, units), for every labelled volume.

    None if there is no hidden layer: the input of a linear model's is the volume itself.
    """
    last = [module for module in trained.model.modules() if isinstance(module, nn.Linear)]
    if not last or isinstance(trained.model, LinearModel):
        return None
    caught: list[Tensor] = []
    handle = last[-1].register_forward_pre_hook(lambda module, inputs: caught.append(inputs[0].float().cpu()))
    samples = trained.samples
    try:
        for _, x_B1ZYX in samples.batches(torch.arange(len(samples)), trained.trial.train.batch_size):
            trained.model(x_B1ZYX)
    finally:
        handle.remove()
    return torch.cat(caught).numpy()


def principal_components(activation_NH: NDArray[np.floating], count: int = COMPONENTS) -> Components:
    """Return the `count` leading components, fewer if there are fewer dimensions.

    The sign of a component is arbitrary; it is set so that its largest loading is positive.
    """
    centred = activation_NH.astype(np.float64) - activation_NH.mean(axis=0, dtype=np.float64)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    count = min(count, len(singular))
    total = float((singular**2).sum())
    sign = np.sign(right[np.arange(count), np.abs(right[:count]).argmax(axis=1)])
    scores = left[:, :count] * singular[:count] * np.where(sign == 0, 1, sign)
    return Components(scores, singular[:count] ** 2 / total if total else np.zeros(count))


def table(trained: Trained, principal: Components) -> pd.DataFrame:
    """Return a row per labelled volume: where it is from, its split, label, prediction, and its scores pc1, pc2, ..."""
    columns = ["subject", "run", "index_in_run", "movie_time", "split", "label", "prediction"]
    scores = {f"pc{i + 1}": principal.scores[:, i] for i in range(principal.scores.shape[1])}
    return trained.predictions[columns].assign(**scores)


def add_affect(volumes: pd.DataFrame, affect: Affect, labels: Labels, lag_s: float) -> pd.DataFrame:
    """Add arousal and valence of each volume, at its movie time minus the lag; nan if no observer said anything."""
    row = labels.at(volumes["movie_time"].to_numpy(dtype=np.float64) - lag_s)
    values = {name: np.where(row >= 0, getattr(affect, name)[row], np.nan) for name in ("arousal", "valence")}
    return volumes.assign(**values)


def components_table(volumes: pd.DataFrame, principal: Components) -> pd.DataFrame:
    """Return a row per component: explained_variance (share), and with affect r_arousal, n_arousal, likewise valence.

    r is Pearson's over the n volumes that have a value. Neighbouring volumes are similar, so n overstates the
    evidence, and no p-value is given. nan if either does not vary.
    """
    rows = []
    for i, share in enumerate(principal.explained):
        row: dict[str, float | str] = {"component": f"pc{i + 1}", "explained_variance": float(share)}
        for name in ("arousal", "valence"):
            if name in volumes:
                pairs = volumes[[f"pc{i + 1}", name]].dropna()
                row |= {f"r_{name}": _pearson(pairs.to_numpy(dtype=np.float64)), f"n_{name}": len(pairs)}
        rows.append(row)
    return pd.DataFrame(rows)


def _pearson(pairs_N2: NDArray[np.float64]) -> float:
    if len(pairs_N2) < 2 or not (pairs_N2.std(axis=0) > 0).all():
        return float("nan")
    matrix: NDArray[np.float64] = np.asarray(np.corrcoef(pairs_N2.T))
    return float(matrix[0, 1])
