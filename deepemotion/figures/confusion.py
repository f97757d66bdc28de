"""Draws confusion matrices: how often each emotion is predicted as each other one."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from deepemotion.figures import scoring, style


def shares(rows: pd.DataFrame, emotions: Sequence[str]) -> NDArray[np.float64]:
    """Return (E, E): of the volumes labelled i, the share predicted as j; a row of nan for a label that does not occur.

    `rows` has label and prediction, one row per volume.
    """
    counts = scoring.tally(rows, emotions).confusion
    total = counts.sum(axis=1, keepdims=True)
    matrix: NDArray[np.float64] = np.full(counts.shape, np.nan)
    np.divide(counts, total, out=matrix, where=total > 0)
    return matrix


@style.house_style
def confusion_matrices(
    single: Sequence[pd.DataFrame], pooled: pd.DataFrame | None, emotions: Sequence[str], note: str
) -> Figure:
    """Draw the mean of the single-subject models' matrices, and the pooled model's, in percent of each label.

    Each frame holds a model's held-out volumes: label, prediction. A label that a model was not tested on is left out
    of the mean.
    """
    order = style.emotion_order(emotions)
    panels: list[tuple[str, NDArray[np.float64]]] = []
    if single:
        stacked = np.stack([shares(rows, order) for rows in single])
        tested = (~np.isnan(stacked)).sum(axis=0)
        mean = np.divide(np.nansum(stacked, axis=0), tested, out=np.full(tested.shape, np.nan), where=tested > 0)
        volumes = sum(len(rows) for rows in single)
        panels.append((f"Single-subject models, mean\n(n = {len(single)} models, {volumes} volumes)", mean))
    if pooled is not None:
        panels.append((f"Pooled model\n(n = {len(pooled)} volumes)", shares(pooled, order)))
    figure = Figure(figsize=(style.WIDTH_IN if len(panels) > 1 else 4.4, 3.7), layout="constrained")
    row = np.atleast_1d(figure.subplots(1, len(panels)))
    for axes, (title, matrix) in zip(row, panels, strict=True):
        image = _draw(axes, 100 * matrix, order, title)
    row[0].set_ylabel("label")
    figure.colorbar(image, ax=list(row), label="% of the label's volumes", shrink=0.75)
    style.caption(figure, note)
    return figure


def _draw(axes: Axes, percent: NDArray[np.float64], order: list[str], title: str) -> AxesImage:
    image = axes.imshow(percent, cmap="cividis", vmin=0, vmax=100)
    for (i, j), value in np.ndenumerate(percent):
        if not np.isnan(value):
            colour = style.text_on_cividis(float(value))
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
    names = [name.capitalize() for name in order]
    axes.spines[:].set_visible(False)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.set(title=title, xlabel="prediction")
    return image
