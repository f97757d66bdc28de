"""Figure 5: how well each model recognises each emotion."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deepemotion.figures import scoring, style
from deepemotion.scoring.metrics import recall


def accuracy_table(models: Mapping[str, pd.DataFrame], classes: Sequence[str]) -> pd.DataFrame:
    """Return the recall of each class (rows) in each model (columns, single-subject ones first), in [0, 1].

    Each frame holds a model's held-out volumes, folds and seeds together since a fold may lack a class: label and
    prediction. nan if a class did not occur.
    """
    columns = {name: recall(scoring.tally(models[name], classes)) for name in sorted(models, key=style.model_order)}
    return pd.DataFrame(columns, index=list(classes))


@style.house_style
def emotion_by_model(accuracy: pd.DataFrame, n_models: int, below: Collection[str] = (), note: str = "") -> Figure:
    """Figure 5: accuracy of each emotion (rows) in each model (columns, `pooled` last), in percent.

    `accuracy` has emotions as index, models as columns, values in [0, 1]; nan if a class did not occur. The models
    `below`, whose accuracy over all emotions does not beat the label-only audit, get a dagger; `note` precedes its
    explanation.
    """
    rows = style.emotion_order(map(str, accuracy.index))
    percent = 100 * accuracy.loc[rows].to_numpy(dtype=float)
    columns = percent.shape[1]
    figure = Figure(figsize=(max(4.6, min(1.7 + 0.27 * columns, 1.5 * style.WIDTH_IN)), 2.4), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(percent, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for (i, j), value in np.ndenumerate(percent):
        if not np.isnan(value):
            axes.text(
                j, i, f"{value:.0f}", ha="center", va="center", fontsize=7, color=style.text_on_cividis(float(value))
            )
    axes.spines[:].set_visible(False)
    axes.set_yticks(range(len(rows)), [row.capitalize() for row in rows])
    names = [style.short(str(model)) + (style.DAGGER if model in below else "") for model in accuracy.columns]
    # Names of held-out sets are too long to be written side by side.
    upright = max((len(name) for name in names), default=0) > 4
    axes.set_xticks(range(columns), names, rotation=90 if upright else 0)
    axes.set(xlabel="model", title=f"Validation accuracy of each emotion, % (n = {n_models} single-subject models)")
    figure.colorbar(image, ax=axes, label="%", shrink=0.9, pad=0.01)
    if note or below:
        style.caption(figure, f"{note} {style.DAGGER_MEANS if below else ''}".strip())
    return figure
