"""The figure of significant clusters: slices through the peak of each, over the mean image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from nilearn import plotting
from numpy.typing import NDArray

from deepemotion.figures import style
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.map_figures import colour_scale

# More rows do not fit on a page.
MOST_CLUSTERS = 8


@dataclass(frozen=True)
class ShownCluster:
    """A cluster to be drawn: the corrected map (X, Y, Z) that it is part of, its peak in mm, and words on it."""

    title: str
    corrected: NDArray[np.float32]
    peak_mm: tuple[float, float, float]


@style.house_style
def cluster_figure(clusters: Sequence[ShownCluster], space: BrainSpace, title: str, note: str) -> Figure:
    """Draw the corrected map on sagittal, coronal and axial slices through the peak of each of the first clusters."""
    shown = clusters[:MOST_CLUSTERS]
    height = 0.9 + 1.6 * len(shown)
    figure = Figure(figsize=(style.WIDTH_IN, height))
    rows = figure.subplots(len(shown), 1, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.24, right=0.91, bottom=0.6 / height, top=1 - 0.3 / height, hspace=0.12)
    background = space.upright_image(space.mean)
    for cluster, axes in zip(shown, rows, strict=True):
        place = axes.get_position()
        figure.text(0.01, place.y0 + place.height / 2, cluster.title, va="center")
        strength = np.abs(cluster.corrected)
        largest = float(strength.max())
        # A raised level of chance can make a significant value negative.
        signed = bool((cluster.corrected < 0).any())
        low = -largest if signed else 0.0
        colours = {"cmap": "PuOr" if signed else "cividis", "vmin": low, "vmax": largest}
        display = plotting.plot_stat_map(
            space.upright_image(cluster.corrected),
            bg_img=background,
            display_mode="ortho",
            cut_coords=cluster.peak_mm,
            axes=axes,
            figure=figure,
            threshold=float(strength[strength > 0].min()) * 0.5,
            symmetric_cbar=signed,
            colorbar=False,
            annotate=False,
            draw_cross=False,
            black_bg=False,
            **colours,
        )
        display.draw_cross(cut_coords=cluster.peak_mm, linewidth=0.6, color="black")
        display.annotate(size=6.5, decimals=1)
        colour_scale(figure, place.y0, place.height, colours)
    figure.suptitle(title, fontsize=8.5, y=1 - 0.1 / height)
    more = len(clusters) - len(shown)
    left_out = f" {more} more cluster{' is' if more == 1 else 's are'} in the table." if more else ""
    style.caption(figure, f"Crosses mark the peak; coordinates in mm.{left_out} {note}".rstrip())
    return figure
