"""Draws the predicted and the true emotion over the course of the movie."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from deepemotion.figures import style

_MINUTES_A_STRIP = 30.0


@style.house_style
def timeline(rows: pd.DataFrame, emotions: list[str], title: str, note: str) -> Figure:
    """Draw the movie in strips of half an hour: bars for the labels, a point for each held-out volume's prediction.

    `rows` has run, movie_time (s), split, label, prediction: a row per labelled volume of one subject, several for a
    volume that several folds or seeds predicted.
    """
    order = style.emotion_order(emotions)
    times = np.unique(rows["movie_time"])
    step = float(np.diff(times).min()) if len(times) > 1 else 2.0
    first, last = float(times.min()) / 60, float(times.max() + step) / 60
    strips = max(1, int(np.ceil((last - first) / _MINUTES_A_STRIP)))
    each = (last - first) / strips
    figure = Figure(figsize=(style.WIDTH_IN, 1.1 + 1.15 * strips), layout="constrained")
    shown = np.atleast_1d(figure.subplots(strips, 1))
    shown[0].set_title(title)
    for i, axes in enumerate(shown):
        _draw_strip(axes, rows, order, step)
        axes.set_xlim(first + i * each, first + (i + 1) * each)
    shown[-1].set_xlabel("time in the movie (min)")
    held_out = rows[rows["split"].isin(style.HELD_OUT)]
    right = int((held_out["label"] == held_out["prediction"]).sum())
    handles = [
        Patch(color=style.LIGHT, label="label"),
        Line2D([], [], ls="", marker="o", ms=3, color=style.RIGHT, label=f"predicted right (n = {right})"),
        Line2D([], [], ls="", marker="x", ms=4, color=style.WRONG, label=f"wrong (n = {len(held_out) - right})"),
        Line2D([], [], ls=":", lw=1, color=style.REFERENCE, label="a run begins"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4)
    style.caption(figure, note)
    return figure


def _draw_strip(axes: Axes, rows: pd.DataFrame, order: list[str], step: float) -> None:
    held_out = rows[rows["split"].isin(style.HELD_OUT)]
    height = {name: i for i, name in enumerate(order)}
    for name in order:
        times = np.unique(rows.loc[rows["label"] == name, "movie_time"]) / 60
        bars = [(time, step / 60) for time in times]
        axes.broken_barh(bars, (height[name] - 0.42, 0.84), facecolors=style.LIGHT)
    for right, marker, colour, size in ((True, "o", style.RIGHT, 2.0), (False, "x", style.WRONG, 3.0)):
        shown = held_out[(held_out["label"] == held_out["prediction"]) == right]
        middle = (shown["movie_time"] + step / 2) / 60
        axes.plot(middle, shown["prediction"].map(height), marker, color=colour, ms=size, mew=0.8)
    for start in rows.groupby("run")["movie_time"].min().iloc[1:]:
        axes.axvline(start / 60, color=style.REFERENCE, ls=":", lw=1)
    axes.set_yticks(range(len(order)), [name.capitalize() for name in order])
    axes.set_ylim(len(order) - 0.5, -0.5)
