"""Draws calibration curves: a well-calibrated model that is 80 % confident is right in 80 % of cases."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from deepemotion.figures import scoring, style
from deepemotion.scoring.metrics import BINS, calibration_error


@style.house_style
def calibration_curves(groups: Mapping[str, pd.DataFrame], classes: Sequence[str], note: str) -> Figure:
    """Draw accuracy against confidence for each named group of held-out volumes, and the number of volumes per bin.

    Each frame has label, prediction and p_CLASS. Bins and calibration error are those of `deepemotion.scoring.metrics`.
    """
    figure = Figure(figsize=(4.6, 4.6 + 0.35 * len(groups)), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    upper.plot([0, 100], [0, 100], ls="--", lw=1, color=style.REFERENCE, label="perfectly calibrated")
    width = 100 / BINS / (len(groups) + 0.5)
    for i, ((name, rows), colour) in enumerate(zip(groups.items(), style.OKABE_ITO, strict=False)):
        sums = scoring.tally(rows, classes)
        held = np.flatnonzero(sums.bins[:, 0])
        volumes, right, confidence = sums.bins[held].T
        error = 100 * float(calibration_error(sums))
        label = f"{name}, n = {len(rows)} volumes,\nexpected calibration error {error:.1f} %"
        upper.plot(
            100 * confidence / volumes, 100 * right / volumes, f"{'os^Dv'[i % 5]}-", ms=4, color=colour, label=label
        )
        lower.bar(100 / BINS * held + (i + 0.25) * width, volumes, width, align="edge", color=colour)
    upper.set(ylabel="accuracy (%)", ylim=(0, 102), xlim=(0, 100), title="Calibration on held-out volumes")
    # Above the panels: curves may cross any place inside them.
    figure.legend(loc="outside upper center")
    lower.set(xlabel="confidence: probability of the predicted emotion (%)", ylabel="volumes", yscale="log")
    style.caption(figure, note)
    return figure
