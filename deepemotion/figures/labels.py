"""Draws figure 1: how often observers gave each label, and which labels co-occur."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from deepemotion.figures.style import OKABE_ITO
from deepemotion.labels.statistics import LabelStatistics
from deepemotion.labels.table import NONE

# For NONE.
_GREY = "#BBBBBB"


def draw(statistics: LabelStatistics, class_of: dict[str, str], caption: str) -> Figure:
    """Draw the frequency of L labels, coloured by class, beside their correlation matrix, grouped by class.

    The matrix shows correlations rather than the covariances they come from, since the variances of the most
    frequent labels would dominate. The caption is followed by the numbers of observers, times and labels given.
    """
    figure = Figure(figsize=(13.5, 6.6), layout="constrained")
    bars, matrix = figure.subplots(1, 2, width_ratios=(1.0, 1.25))
    _draw_bars(bars, statistics, class_of)
    _draw_matrix(matrix, statistics, class_of)
    figure.supxlabel(
        f"{caption} n = {statistics.observers} observers, {statistics.times} movie times,"
        f" {statistics.frequency.sum()} labels given.",
        fontsize=9,
    )
    return figure


def _draw_bars(axes: Axes, statistics: LabelStatistics, class_of: dict[str, str]) -> None:
    order = np.argsort(-statistics.frequency, kind="stable")
    names = [statistics.labels[i] for i in order]
    colours = _colour_of_class(class_of)
    axes.barh(names, statistics.frequency[order], color=[colours[class_of[name]] for name in names])
    axes.invert_yaxis()
    axes.set_xlabel("times given (observer x movie time)")
    axes.set_title("How often each label was given", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", labelsize=8)
    axes.legend(
        handles=[Patch(color=colour, label=name) for name, colour in colours.items()], loc="lower right", frameon=False
    )


def _draw_matrix(axes: Axes, statistics: LabelStatistics, class_of: dict[str, str]) -> None:
    labels, frequency = statistics.labels, statistics.frequency
    colours = _colour_of_class(class_of)
    rank = {name: i for i, name in enumerate(colours)}
    order = sorted(range(len(labels)), key=lambda i: (rank[class_of[labels[i]]], -frequency[i]))
    names = [labels[i] for i in order]
    shown = statistics.correlation[np.ix_(order, order)]
    np.fill_diagonal(shown, np.nan)
    limit = max(0.1, float(np.nanmax(abs(shown), initial=0.0)))
    image = axes.imshow(np.ma.masked_invalid(shown), cmap="PuOr", vmin=-limit, vmax=limit)
    axes.set_facecolor(_GREY)
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_title("Which labels go together (boxes: classes; grey: diagonal, or undefined)", fontsize=11)
    for name, colour in colours.items():
        members = [i for i, label in enumerate(names) if class_of[label] == name]
        if members:
            corner = (members[0] - 0.5, members[0] - 0.5)
            axes.add_patch(Rectangle(corner, len(members), len(members), fill=False, edgecolor=colour, linewidth=2.5))
    axes.figure.colorbar(image, ax=axes, label="correlation of the shares of observers over movie time", shrink=0.8)


def _colour_of_class(class_of: dict[str, str]) -> dict[str, str]:
    classes = sorted(set(class_of.values()) - {NONE})
    return {name: OKABE_ITO[i % len(OKABE_ITO)] for i, name in enumerate(classes)} | {NONE: _GREY}
