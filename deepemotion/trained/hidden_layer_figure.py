"""The figure of the hidden representation: volumes by their first principal components, and their correlations."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from deepemotion.figures import style

_MARKERS = "os^Dv<>P"


@style.house_style
def hidden(volumes: pd.DataFrame, components: pd.DataFrame, title: str, note: str) -> Figure:
    """Draw volumes by their first two components, coloured by label, trained on (left) and held out (right).

    `volumes` and `components` are those of `deepemotion.trained.hidden_layer`; with affect, a third panel shows the
    correlations of the components with arousal and valence.
    """
    with_affect = "r_arousal" in components
    figure = Figure(figsize=(style.WIDTH_IN, 3.4), layout="constrained")
    panels = figure.subplots(1, 3 if with_affect else 2, width_ratios=(1, 1, 0.62) if with_affect else (1, 1))
    emotions = style.emotion_order(volumes["label"].unique())
    colours = style.emotion_colours(emotions)
    second = "pc2" if "pc2" in volumes else "pc1"
    sides = {"trained on": volumes["split"] == "train", "held out": volumes["split"].isin(style.HELD_OUT)}
    for axes, (name, side) in zip(panels[:2], sides.items(), strict=True):
        for emotion, marker in zip(emotions, _MARKERS * len(emotions), strict=False):
            rows = volumes[side & (volumes["label"] == emotion)]
            axes.scatter(rows["pc1"], rows[second], s=9, marker=marker, color=colours[emotion], alpha=0.7, lw=0)
        axes.set(title=f"{name} (n = {int(side.sum())} volumes)", xlabel=_axis(components, "pc1"))
        axes.set_box_aspect(1)
    panels[1].sharex(panels[0])
    panels[1].sharey(panels[0])
    panels[0].set_ylabel(_axis(components, second))
    if with_affect:
        _correlations(panels[2], components)
    handles = [
        Line2D([], [], ls="", marker=marker, ms=4, color=colours[emotion], label=emotion.capitalize())
        for emotion, marker in zip(emotions, _MARKERS * len(emotions), strict=False)
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), title=title, title_fontsize=8.5)
    style.caption(figure, note)
    return figure


def _axis(components: pd.DataFrame, name: str) -> str:
    share = float(components.set_index("component").loc[name, "explained_variance"])  # type: ignore[arg-type]
    return f"{name.upper()} ({100 * share:.0f} % of variance)"


def _correlations(axes: Axes, components: pd.DataFrame) -> None:
    values = components[["r_arousal", "r_valence"]].to_numpy(dtype=float)
    limit = max(0.1, float(np.nanmax(np.abs(values), initial=0.0)))
    axes.imshow(values, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    for (i, j), value in np.ndenumerate(values):
        if not np.isnan(value):
            colour = "white" if abs(value) > 0.7 * limit else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
    counts = [int(components[f"n_{name}"].iloc[0]) for name in ("arousal", "valence")]
    axes.set_xticks([0, 1], [f"arousal\n(n = {counts[0]})", f"valence\n(n = {counts[1]})"])
    axes.set_yticks(range(len(components)), [str(name).upper() for name in components["component"]])
    axes.set_title("correlation r")
    axes.spines[:].set_visible(False)
