"""Figure 4: what a model predicts for the held-out volumes of one emotion."""

import pandas as pd
from matplotlib.figure import Figure

from deepemotion.figures import style


@style.house_style
def predictions_of_emotion(rows: pd.DataFrame, emotion: str, emotions: list[str], title: str, note: str) -> Figure:
    """Figure 4: a pie of the predictions for the held-out volumes of `emotion`; its own slice is hatched.

    `rows` has label and prediction, one row per held-out volume. All `emotions` are listed with their numbers,
    including those that were never predicted.
    """
    predicted = rows.loc[rows["label"] == emotion, "prediction"]
    counts = predicted.value_counts().reindex(style.emotion_order(emotions), fill_value=0)
    counts = counts.sort_values(ascending=False, kind="stable")
    colours = style.emotion_colours(emotions)
    figure = Figure(figsize=(4.6, 2.9), layout="constrained")
    axes = figure.subplots()
    slices = axes.pie(
        counts,
        colors=[colours[str(name)] for name in counts.index],
        startangle=90,
        counterclock=False,
        wedgeprops={"edgecolor": "white", "linewidth": 1},
    )[0]
    for name, one in zip(counts.index, slices, strict=True):
        if name == emotion:
            one.set_hatch("///")
    total = max(1, len(predicted))
    names = [
        f"{str(name).capitalize()}  {100 * count / total:.1f} % ({count})" + (" (right)" if name == emotion else "")
        for name, count in counts.items()
    ]
    axes.legend(slices, names, loc="center left", bbox_to_anchor=(1.0, 0.5), title=f"predicted (n = {len(predicted)})")
    axes.set_title(title)
    style.caption(figure, note)
    return figure
