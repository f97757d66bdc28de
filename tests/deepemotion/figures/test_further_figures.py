"""The figures that go beyond the paper's: what they say, for predictions whose scores are known."""

import numpy as np
import pandas as pd
import pytest
from drawn_figures import CLASSES, cells, table

from deepemotion.figures import calibration, confusion, label_audit, timeline


def test_confusion_is_the_mean_over_models_of_shares_of_each_label():
    one = table(["LOVE", "LOVE", "FEAR"], ["LOVE", "FEAR", "FEAR"])
    other = table(["LOVE"] * 4, ["LOVE"] * 4)
    shares = confusion.shares(one, CLASSES)
    assert shares[3].tolist() == [0, 0.5, 0, 0.5, 0]
    assert np.isnan(shares[0]).all()
    figure = confusion.confusion_matrices([one, other], one, CLASSES, "note")
    left, right = figure.axes[:2]
    assert left.get_title() == "Single-subject models, mean\n(n = 2 models, 7 volumes)"
    # Rows in the paper's order: fear, which one model was tested on, and love.
    assert cells(left) == ["100", "0", "0", "0", "0", "25", "0", "0", "75", "0"]
    assert cells(right) == ["100", "0", "0", "0", "0", "50", "0", "0", "50", "0"]


def test_accuracy_beside_labels_alone_has_a_dagger_and_n():
    trials = pd.DataFrame(
        {
            "training_set": ["sub-01", "sub-01", "sub-02", "pooled"],
            "accuracy_validation": [0.5, 0.7, 0.4, 0.9],
            "label_only_accuracy": 0.3,
            "majority_accuracy": [0.4, 0.4, 0.4, 0.2],
            "chance": 0.2,
            "n_validation": [10, 20, 30, 40],
        }
    )
    figure = label_audit.against_labels(trials, "title")
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == ["01  (n = 30)", "02†  (n = 30)", "ALL  (n = 40)"]
    # A model's point is the mean over its folds, by their volumes.
    assert label_audit.model_means(trials).loc["sub-01", "accuracy_validation"] == pytest.approx(19 / 30)


def test_the_timeline_counts_held_out_volumes_only_and_breaks_long_movies():
    rows = table(["LOVE", "FEAR"] * 1000, ["LOVE", "LOVE"] * 1000)
    rows.loc[rows.index[:500], "split"] = "train"
    rows.loc[rows.index[500:1000], "split"] = ""
    figure = timeline.timeline(rows, CLASSES, "title", "note")
    assert len(figure.axes) == 3
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "predicted right (n = 500)" in legend
    assert "wrong (n = 500)" in legend


def test_calibration_draws_confidence_against_accuracy():
    rows = table(["LOVE"] * 8 + ["FEAR"] * 2, ["LOVE"] * 10, confidence=0.75)
    figure = calibration.calibration_curves({"pooled model": rows}, CLASSES, "note")
    # Outside of the panels: no curve lies below it.
    assert len(figure.legends) == 1
    assert all(axes.get_legend() is None for axes in figure.axes)
    line = figure.axes[0].lines[1]
    np.testing.assert_allclose(np.array(line.get_xydata()), [[75, 80]])
    assert line.get_label() == "pooled model, n = 10 volumes,\nexpected calibration error 5.0 %"


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_volume_is_enough(count):
    rows = table(["LOVE"] * count, ["FEAR"] * count)
    timeline.timeline(rows, CLASSES, "title", "note")
    calibration.calibration_curves({"one": rows}, CLASSES, "note")
    confusion.confusion_matrices([rows], None, CLASSES, "note")
