"""Draws accuracy over the number of runs or subjects trained on, with the fitted curves up to twice as many."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from deepemotion.figures import style


@style.house_style
def over_training_size(curves: pd.DataFrame, chance: float, title: str, note: str) -> Figure:
    """Draw a panel over runs and one over subjects, as far as there are such curves.

    `curves` has a row for each point: model, over (runs or subjects), size, measured, accuracy, low and high, and a, b
    and c of the fitted curve `a - b n^-c`, nan where none is fitted. Points that were measured are full; the one at
    twice as many is open, at the end of the dashed part of the curve.
    """
    panels = [over for over in ("runs", "subjects") if (curves["over"] == over).any()]
    figure = Figure(figsize=(style.WIDTH_IN, 3.2), layout="constrained")
    names = list(dict.fromkeys(curves["model"]))
    colours = {name: style.OKABE_ITO[i % len(style.OKABE_ITO)] for i, name in enumerate(names)}
    for axes, over in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        of_panel = curves[curves["over"] == over]
        for number, name in enumerate(names):
            # Side by side, so that intervals at one size can be told apart.
            _draw(axes, of_panel[of_panel["model"] == name], colours[name], 1.03 ** (number - (len(names) - 1) / 2))
        axes.axhline(100 * chance, color=style.REFERENCE, ls=":", lw=1)
        ticks = sorted(set(of_panel["size"]))
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticklabels([f"{tick:g}" for tick in ticks])
        axes.set(xlabel=f"{over} trained on")
    figure.axes[0].set_ylabel("accuracy (%)")
    figure.suptitle(title, fontsize=8.5)
    handles = [figure.axes[0].plot([], [], "o-", ms=4, color=colours[name], label=name)[0] for name in names]
    handles += figure.axes[0].plot(
        [], [], "o--", ms=4, mfc="white", color=style.REFERENCE, label="fitted, twice as many"
    )
    handles += figure.axes[0].plot([], [], ":", lw=1, color=style.REFERENCE, label="chance")
    figure.legend(handles=handles, loc="outside right center")
    style.caption(figure, note)
    return figure


def _draw(axes: Axes, points: pd.DataFrame, colour: str, shift: float) -> None:
    for measured, rows in points.groupby("measured"):
        accuracy = 100 * rows["accuracy"].to_numpy(dtype=float)
        reach = np.abs(100 * rows[["low", "high"]].to_numpy(dtype=float).T - accuracy)
        place = shift * rows["size"].to_numpy(dtype=float)
        axes.errorbar(place, accuracy, yerr=reach, fmt="none", ecolor=colour, elinewidth=1)
        axes.plot(place, accuracy, "o", ms=4, mec=colour, mfc=colour if measured else "white", zorder=3)
    sizes = points.loc[points["measured"], "size"]
    if points.empty or points["a"].isna().any():
        return
    a, b, c = points[["a", "b", "c"]].iloc[0]
    for first, last, line in ((sizes.min(), sizes.max(), "-"), (sizes.max(), points["size"].max(), "--")):
        grid = np.geomspace(first, last, 50)
        axes.plot(shift * grid, 100 * (a - b * grid**-c), line, color=colour, lw=1)
