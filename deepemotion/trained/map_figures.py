"""Figures of brain maps, one row per emotion: slices over the mean image, and outlines of a glass brain."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from nilearn import plotting

from deepemotion.figures import style
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.saliency import EmotionMap

# The share of in-mask voxels shown; outlines show all depths at once.
_IN_SLICES, _IN_GLASS = 0.1, 0.03
_SLICES = 7
# Draws a map into axes, with these options of nilearn, and returns nilearn's display.
_Draw = Callable[[EmotionMap, Axes, dict[str, Any]], Any]


@style.house_style
def slices(maps: Sequence[EmotionMap], space: BrainSpace, note: str) -> Figure:
    """Draw each map's strongest tenth of in-mask voxels on axial slices, over the mean image."""
    background = space.upright_image(space.mean)
    heights = space.in_mm()[:, 2]
    in_mm = np.unique(np.linspace(heights.min(), heights.max(), _SLICES + 2)[1:-1]).tolist()

    def draw(emotion_map: EmotionMap, axes: Axes, options: dict[str, Any]) -> Any:
        where = {"display_mode": "z", "cut_coords": in_mm, "axes": axes}
        return plotting.plot_stat_map(space.upright_image(emotion_map.volume), bg_img=background, **where, **options)

    return _rows(maps, space, draw, "axial slices, z in mm", note, _IN_SLICES)


@style.house_style
def glass(maps: Sequence[EmotionMap], space: BrainSpace, note: str) -> Figure:
    """Draw the strongest 3 % on outlines of the MNI brain; the caption says so if the data is in another space."""

    def draw(emotion_map: EmotionMap, axes: Axes, options: dict[str, Any]) -> Any:
        where = {"display_mode": "lyrz", "plot_abs": False, "axes": axes}
        return plotting.plot_glass_brain(space.upright_image(emotion_map.volume), **where, **options)

    far = space.far_from_mni()
    outline = "The outlines are those of the MNI brain, for orientation only"
    return _rows(maps, space, draw, "glass brain", f"{note} {outline}{f': {far}' if far else ''}.", _IN_GLASS)


def _rows(maps: Sequence[EmotionMap], space: BrainSpace, draw: _Draw, view: str, note: str, share: float) -> Figure:
    height = 0.9 + 1.35 * len(maps)
    figure = Figure(figsize=(style.WIDTH_IN, height))
    rows = figure.subplots(len(maps), 1, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.1, right=0.91, bottom=0.6 / height, top=1 - 0.3 / height, hspace=0.12)
    for emotion_map, axes in zip(maps, rows, strict=True):
        place = axes.get_position()
        figure.text(
            0.01, place.y0 + place.height / 2, f"{emotion_map.emotion.capitalize()}\nn = {emotion_map.n}", va="center"
        )
        strength = np.abs(emotion_map.volume[space.mask])
        largest = float(strength.max(initial=0))
        if not largest:
            axes.axis("off")
            axes.text(0.5, 0.5, "zero everywhere", ha="center", transform=axes.transAxes)
            continue
        signed = bool((emotion_map.volume < 0).any())
        colours = {"cmap": "PuOr" if signed else "cividis", "vmin": -largest if signed else 0.0, "vmax": largest}
        threshold = max(float(np.quantile(strength, 1 - share)), 1e-3 * largest)
        options = {**colours, "threshold": threshold, "figure": figure, "symmetric_cbar": signed, "black_bg": False}
        with warnings.catch_warnings():
            # Of nilearn, about a slice without a voxel: that it is empty can be seen.
            warnings.filterwarnings("ignore", "empty mask", UserWarning)
            display = draw(emotion_map, axes, {**options, "colorbar": False, "annotate": False})
        display.annotate(size=6.5, decimals=1)
        colour_scale(figure, place.y0, place.height, colours)
    figure.suptitle(f"{maps[0].method}: {view}", fontsize=8.5, y=1 - 0.1 / height)
    style.caption(figure, f"The strongest {100 * share:.0f} % of the voxels; n volumes averaged. {note}")
    return figure


def colour_scale(figure: Figure, bottom: float, height: float, colours: dict[str, Any]) -> None:
    """Draw the colour bar of a row from its bottom and height in the figure, and its `cmap`, `vmin` and `vmax`."""
    # Beside the row: nilearn's own colour bar would cover the last slice.
    axes = figure.add_axes((0.92, bottom + 0.1 * height, 0.01, 0.8 * height))
    low, high = colours["vmin"], colours["vmax"]
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), colours["cmap"]), cax=axes)
    ticks = sorted({low, 0.0, high})
    bar.set_ticks(ticks, labels=[f"{tick:.2g}" for tick in ticks])
    bar.ax.tick_params(labelsize=6.5, length=2)
