"""Figure 3: accuracy over epochs."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from deepemotion.figures import style
from deepemotion.figures.style import REFERENCE, TRAIN, VALIDATION, WIDTH_IN, house_style
from deepemotion.scoring.audit import beats


@house_style
def learning_curves(aggregates: pd.DataFrame, condition: str, models: int, note: str = "") -> Figure:
    """Figure 3: accuracy over epochs; left the single-subject models (mean, 1 SD band), right the pooled one.

    The title gives their last values, with a dagger if the validation accuracy does not beat the label-only audit.

    `aggregates` has condition, epoch, tag, value as `launcher.tables.aggregates.aggregate` returns; `models` is the
    number of single-subject models; `note` begins the caption.
    """
    values = aggregates[aggregates["condition"] == condition].pivot(index="epoch", columns="tag", values="value")
    figure = Figure(figsize=(WIDTH_IN, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    # A single epoch cannot be drawn as a line.
    marker = "o" if len(values) == 1 else None
    for side, colour in (("train", TRAIN), ("validation", VALIDATION)):
        tag = f"single_subject/accuracy/{side}"
        if f"{tag}/mean" in values:
            curve = values[[f"{tag}/mean", f"{tag}/minus_sd", f"{tag}/plus_sd"]].dropna()
            left.fill_between(
                curve.index, 100 * curve.iloc[:, 1], 100 * curve.iloc[:, 2], color=colour, alpha=0.2, lw=0
            )
            left.plot(curve.index, 100 * curve.iloc[:, 0], color=colour, label=side, marker=marker)
        if f"pooled/accuracy/{side}" in values:
            pooled = values[f"pooled/accuracy/{side}"].dropna()
            right.plot(pooled.index, 100 * pooled, color=colour, label=side, marker=marker)
    for axes, title, curves in (
        (left, f"Single-subject models, mean ± 1 SD (n = {models})", "single_subject/accuracy/{}/mean"),
        (right, "Cross-subject (pooled) model", "pooled/accuracy/{}"),
    ):
        _references(axes, values)
        axes.set(title=f"{title}\n{_end(values, curves)}", xlabel="epoch", ylim=(0, 102))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    left.set_ylabel("accuracy (%)")
    # Beside the panels: curves may cross any place inside them.
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    marked = any(style.DAGGER in axes.get_title() for axes in (left, right))
    style.caption(figure, f"{note} {style.DAGGER_MEANS if marked else ''}".strip())
    return figure


def _end(values: pd.DataFrame, curves: str) -> str:
    tags = [curves.format(side) for side in ("train", "validation")]
    if not all(tag in values and values[tag].notna().any() for tag in tags):
        return "none yet"
    train, validation = (float(values[tag].dropna().iloc[-1]) for tag in tags)
    mark = "" if beats(validation, values.filter(like="reference/").max().dropna()) else style.DAGGER
    return f"end: train {100 * train:.1f} %, validation {100 * validation:.1f} %{mark}"


def _references(axes: Axes, values: pd.DataFrame) -> None:
    for tag, line, name in (("reference/chance", ":", "chance"), ("reference/label_only", "--", "labels alone")):
        if tag in values and values[tag].notna().any():
            axes.axhline(100 * values[tag].dropna().iloc[-1], color=REFERENCE, ls=line, lw=1, label=name)
