"""The figures of the paper, drawn from the tables alone. Colours are Okabe and Ito's, safe for the colour-blind."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

TRAIN, VALIDATION, REFERENCE = "#D55E00", "#0072B2", "#666666"
# The rows of the paper's figures 5 and 6.
PAPER_ORDER = ("FEAR", "SADNESS", "HAPPINESS", "LOVE", "ANGER")


def learning_curves(aggregates: pd.DataFrame, condition: str, models: int) -> Figure:
    """Figure 3: accuracy over epochs; left the single-subject models (mean, 1 SD band), right the pooled one.

    `aggregates` has condition, epoch, tag, value as `launcher.tensorboard.aggregate` returns them; `models` is the
    number of single-subject models, for the caption.
    """
    values = aggregates[aggregates["condition"] == condition].pivot(index="epoch", columns="tag", values="value")
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for side, colour in (("train", TRAIN), ("validation", VALIDATION)):
        tag = f"single_subject/accuracy/{side}"
        if f"{tag}/mean" in values:
            curve = values[[f"{tag}/mean", f"{tag}/minus_sd", f"{tag}/plus_sd"]].dropna()
            left.fill_between(
                curve.index, 100 * curve.iloc[:, 1], 100 * curve.iloc[:, 2], color=colour, alpha=0.2, lw=0
            )
            left.plot(curve.index, 100 * curve.iloc[:, 0], color=colour, label=side)
        if f"pooled/accuracy/{side}" in values:
            pooled = values[f"pooled/accuracy/{side}"].dropna()
            right.plot(pooled.index, 100 * pooled, color=colour, label=side)
    for axes, title in (
        (left, f"Single-subject models, mean ± 1 SD (n = {models})"),
        (right, "Cross-subject (pooled) model"),
    ):
        _references(axes, values)
        axes.set(title=title, xlabel="epoch", ylim=(0, 102))
        axes.spines[["top", "right"]].set_visible(False)
    left.set_ylabel("accuracy (%)")
    left.legend(frameon=False, loc="lower right")
    return figure


def _references(axes: Axes, values: pd.DataFrame) -> None:
    for tag, style, name in (("reference/chance", ":", "chance"), ("reference/label_only", "--", "labels alone")):
        if tag in values and values[tag].notna().any():
            axes.axhline(100 * values[tag].dropna().iloc[-1], color=REFERENCE, ls=style, lw=1, label=name)


def emotion_by_model(accuracy: pd.DataFrame, n_models: int) -> Figure:
    """Figure 5: accuracy of each emotion (rows) in each model (columns, `pooled` last), in percent.

    `accuracy` has emotions as index, models as columns, values in [0, 1]; nan where a class did not occur.
    """
    rows = [name for name in PAPER_ORDER if name in accuracy.index]
    rows += [name for name in accuracy.index if name not in rows]
    percent = 100 * accuracy.loc[rows].to_numpy(dtype=float)
    figure = Figure(figsize=(max(5.0, 1.8 + 0.5 * percent.shape[1]), 2.9), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(percent, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for (i, j), value in np.ndenumerate(percent):
        if not np.isnan(value):
            axes.text(
                j, i, f"{value:.0f}", ha="center", va="center", fontsize=8, color="white" if value < 55 else "black"
            )
    axes.set_yticks(range(len(rows)), [row.capitalize() for row in rows])
    axes.set_xticks(range(percent.shape[1]), _short(accuracy.columns), fontsize=8)
    axes.set(xlabel="model", title=f"Validation accuracy of each emotion, % (n = {n_models} single-subject models)")
    figure.colorbar(image, ax=axes, label="%", shrink=0.9)
    return figure


def _short(models: Iterable[str]) -> list[str]:
    return [str(model).removeprefix("sub-").replace("pooled", "ALL") for model in models]
