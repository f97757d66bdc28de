"""Figure 6: models tested on subjects that they were trained on, and on subjects that they were not trained on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from deepemotion.figures import scoring, style
from deepemotion.scoring.audit import beats

_SEEN, _UNSEEN = "validation", "unseen"


@dataclass(frozen=True)
class Panel:
    """One heat map: accuracy in [0, 1], emotions x subjects, the last `unseen` of which were not trained on."""

    title: str
    accuracy: pd.DataFrame
    unseen: int


def panels(predictions: pd.DataFrame, trials: pd.DataFrame, classes: list[str]) -> list[Panel]:
    """Return a panel for each of the paper's held-out folds; two, seen and unseen, for leave-one-subject-out.

    `predictions` holds the volumes of held-out training sets: training_set, subject, split, label, prediction; `trials`
    has a row per trial of these sets, with n_SPLIT and the audit's columns.
    """
    shown = []
    order = style.emotion_order(classes)
    one_out = predictions["training_set"].str.startswith("without-")
    for name, rows in predictions[~one_out].groupby("training_set", sort=False):
        their_trials = trials[trials["training_set"] == name]
        seen, unseen = _recall(rows, _SEEN, order), _recall(rows, _UNSEEN, order)
        sides = f"{_score(rows, their_trials, _SEEN)}; {_score(rows, their_trials, _UNSEEN)}"
        title = f"{seen.shape[1]} subjects trained on: {sides}"
        shown.append(Panel(title, pd.concat([seen, unseen], axis=1), unseen.shape[1]))
    shown.sort(key=lambda panel: str(panel.accuracy.columns[-1]))
    rows = predictions[one_out]
    if len(rows):
        for split, which in (
            (_SEEN, "Models trained on the subject"),
            (_UNSEEN, "The model that left the subject out"),
        ):
            recall = _recall(rows, split, order)
            their_trials = trials[trials["training_set"].str.startswith("without-")]
            title = f"{which}: {_score(rows, their_trials, split)}"
            shown.append(Panel(title, recall, 0 if split == _SEEN else recall.shape[1]))
    return shown


@style.house_style
def seen_and_unseen(shown: Sequence[Panel], note: str) -> Figure:
    """Figure 6: a heat map per panel, accuracy in percent, the subjects trained on left and the unseen ones right."""
    figure = Figure(figsize=(style.WIDTH_IN, 0.7 + 1.75 * len(shown)), layout="constrained")
    rows = np.atleast_1d(figure.subplots(len(shown), 1))
    for axes, panel in zip(rows, shown, strict=True):
        image = _draw(axes, panel)
    rows[-1].set_xlabel("subject")
    figure.colorbar(image, ax=list(rows), label="accuracy (%)", pad=0.01, aspect=15 * len(shown))
    marked = any(style.DAGGER in panel.title for panel in shown)
    style.caption(figure, f"{note} {style.DAGGER_MEANS if marked else ''}".strip())
    return figure


def _draw(axes: Axes, panel: Panel) -> AxesImage:
    seen = panel.accuracy.shape[1] - panel.unseen
    percent = 100 * panel.accuracy.to_numpy(dtype=float)
    both = panel.unseen > 0 and seen > 0
    if both:
        percent = np.insert(percent, seen, np.nan, axis=1)
    image = axes.imshow(percent, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for (i, j), value in np.ndenumerate(percent):
        if not np.isnan(value):
            colour = style.text_on_cividis(float(value))
            axes.text(j, i, f"{value:.0f}", ha="center", va="center", fontsize=6.5, color=colour)
    names = [style.short(str(name)) for name in panel.accuracy.columns]
    places = [i + 1 if both and i >= seen else i for i in range(len(names))]
    axes.spines[:].set_visible(False)
    axes.set_xticks(places, names)
    axes.set_yticks(range(len(panel.accuracy)), [str(name).capitalize() for name in panel.accuracy.index])
    axes.set_title(panel.title)
    if both:
        axes.axvline(seen, color="black", lw=1)
        for x, word, side in ((seen - 0.2, "← seen", "right"), (seen + 0.2, "unseen →", "left")):
            axes.annotate(
                word, (x, 0), xycoords=("data", "axes fraction"), xytext=(0, -21), textcoords="offset points", ha=side
            )
    return image


def _recall(rows: pd.DataFrame, split: str, order: list[str]) -> pd.DataFrame:
    tested = rows[rows["split"] == split]
    right = (tested["label"] == tested["prediction"]).groupby([tested["label"], tested["subject"]]).mean()
    return right.unstack("subject").reindex(order).sort_index(axis=1)


def _score(rows: pd.DataFrame, trials: pd.DataFrame, split: str) -> str:
    """Return the accuracy over all volumes of a split, with its dagger and n."""
    tested = rows[rows["split"] == split]
    word = "seen" if split == _SEEN else "unseen"
    if tested.empty:
        return f"{word}: no volume"
    accuracy = float((tested["label"] == tested["prediction"]).mean())
    mark = "" if beats(accuracy, scoring.without_brain(trials, split).values()) else style.DAGGER
    return f"{word} {100 * accuracy:.1f} %{mark} (n = {len(tested):,} volumes)"
