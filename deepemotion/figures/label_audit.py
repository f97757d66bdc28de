"""Draws each model's accuracy beside scores that need no brain data: labels alone, the majority class, chance."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from deepemotion.figures import scoring, style
from deepemotion.scoring.audit import beats


def model_means(trials: pd.DataFrame) -> pd.DataFrame:
    """Return a row per training set (single subjects, pooled, others): scores over folds and seeds, and `beats_labels`.

    `trials` has a row per trial of one condition: training_set, accuracy_validation, n_validation and the audit's
    columns.
    """
    rows = {}
    for name, folds in trials.groupby("training_set"):
        accuracy = scoring.over_folds(folds, "accuracy_validation", "validation")
        audit = scoring.without_brain(folds)
        rows[str(name)] = {
            **audit,
            "accuracy_validation": accuracy,
            "beats_labels": beats(accuracy, audit.values()),
            "n_validation": folds["n_validation"].sum(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").loc[sorted(rows, key=style.model_order)]


@style.house_style
def against_labels(trials: pd.DataFrame, title: str) -> Figure:
    """Draw a row per model: its validation accuracy (mean; a small point per fold or seed) and the audit's scores.

    `trials` as in `model_means`. A model that does not exceed all of the audit's scores is an open point and has a
    dagger.
    """
    means = model_means(trials)
    figure = Figure(figsize=(5.2, 1.5 + 0.17 * len(means)), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(means))
    for row, (name, mean) in zip(place, means.iterrows(), strict=True):
        folds = 100 * trials.loc[trials["training_set"] == name, "accuracy_validation"]
        if len(folds) > 1:
            axes.plot(folds, np.full(len(folds), row), ".", color=style.VALIDATION, alpha=0.35, ms=4, mew=0)
        fill = style.VALIDATION if mean["beats_labels"] else "white"
        axes.plot(100 * mean["accuracy_validation"], row, "o", ms=5, mec=style.VALIDATION, mfc=fill, zorder=3)
    axes.plot(100 * means["label_only_accuracy"], place, "|", color="black", ms=9, mew=1.8)
    axes.plot(100 * means["majority_accuracy"], place, "D", color=style.REFERENCE, ms=3.5, mfc="none")
    axes.axvline(100 * means["chance"].mean(), color=style.REFERENCE, ls=":", lw=1)
    names = [
        style.short(str(name)) + ("" if beaten else style.DAGGER) + f"  (n = {volumes:.0f})"
        for name, beaten, volumes in zip(means.index, means["beats_labels"], means["n_validation"], strict=True)
    ]
    axes.set_yticks(place, names)
    axes.set(xlabel="validation accuracy (%)", xlim=(0, 102), ylim=(len(means) - 0.4, -0.6), title=title)
    axes.grid(axis="y", color=style.LIGHT, lw=0.5)
    axes.set_axisbelow(True)
    handles = [
        Line2D([], [], ls="", marker="o", ms=5, color=style.VALIDATION, label="above all three"),
        Line2D([], [], ls="", marker="o", ms=5, color=style.VALIDATION, mfc="white", label=f"{style.DAGGER} not above"),
        Line2D([], [], ls="", marker="|", color="black", ms=9, mew=1.8, label="labels alone"),
        Line2D([], [], ls="", marker="D", color=style.REFERENCE, ms=3.5, mfc="none", label="majority class"),
        Line2D([], [], ls=":", color=style.REFERENCE, lw=1, label="chance"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure
