"""Draws each model's accuracy beside those of controls without a brain, over the same volumes."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from deepemotion.figures import style

SECTION = "§"
_BAND = 0.36


@style.house_style
def against_controls(models: pd.DataFrame, controls: pd.DataFrame, title: str, note: str) -> Figure:
    """Draw a row per model: its accuracy with the interval, and that of each control.

    `models` has model, n (volumes), accuracy, low, high and beats (True, False, or NA where that is not known yet);
    `controls` has model, control, accuracy, low and high. The band is the interval of the best control. A model that
    is not shown to exceed every control is an open point and has a section sign.
    """
    figure = Figure(figsize=(style.WIDTH_IN, max(2.4, 1.3 + 0.2 * len(models))), layout="constrained")
    axes = figure.subplots()
    names = sorted(set(controls["control"]))
    colours = dict(zip(names, style.OKABE_ITO[::-1], strict=False))
    for row, name in enumerate(models["model"]):
        _draw_controls(axes, row, controls[controls["model"] == name], colours)
    place = np.arange(len(models))
    accuracy = 100 * models["accuracy"].to_numpy(dtype=float)
    reach = np.abs(100 * models[["low", "high"]].to_numpy(dtype=float).T - accuracy)
    axes.errorbar(accuracy, place, xerr=reach, fmt="none", ecolor=style.VALIDATION, elinewidth=1, zorder=3)
    below = [not pd.isna(beats) and not beats for beats in models["beats"]]
    for row, (value, open_) in enumerate(zip(accuracy, below, strict=True)):
        fill = "white" if open_ else style.VALIDATION
        axes.plot(value, row, "o", ms=5, mec=style.VALIDATION, mfc=fill, zorder=4)
    labels = [
        style.short(str(model)) + (SECTION if open_ else "") + f"  (n = {n:,.0f})"
        for model, open_, n in zip(models["model"], below, models["n"], strict=True)
    ]
    axes.set_yticks(place, labels)
    axes.set(xlabel="accuracy (%)", ylim=(len(models) - 0.4, -0.6), title=title)
    axes.grid(axis="y", color=style.LIGHT, lw=0.5)
    axes.set_axisbelow(True)
    handles = [Line2D([], [], ls="", marker="o", ms=5, color=style.VALIDATION, label="brain")]
    if any(below):
        meaning = f"{SECTION} not shown to exceed them"
        handles.append(Line2D([], [], ls="", marker="o", ms=5, color=style.VALIDATION, mfc="white", label=meaning))
    ticks = [Line2D([], [], ls="", marker="|", ms=9, mew=1.8, color=colours[name], label=name) for name in names]
    band = Patch(color=style.LIGHT, label="95 % of the best control")
    figure.legend(handles=[*handles, *ticks, band], loc="outside right center")
    style.caption(figure, note)
    return figure


def _draw_controls(axes: Axes, place: int, controls: pd.DataFrame, colours: dict[str, str]) -> None:
    if controls.empty:
        return
    best = controls.sort_values("accuracy").iloc[-1]
    low, high = 100 * best["low"], 100 * best["high"]
    axes.barh(place, high - low, left=low, height=2 * _BAND, color=style.LIGHT, zorder=1)
    for control, accuracy in zip(controls["control"], controls["accuracy"], strict=True):
        axes.plot(100 * accuracy, place, "|", ms=11, mew=1.8, color=colours[control], zorder=2)
