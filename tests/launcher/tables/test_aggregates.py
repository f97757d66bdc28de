"""What the lines of figure 3 are means of, from small tables whose means are known."""

import pandas as pd
import pytest

from launcher.tables.aggregates import aggregate
from launcher.tables.selection import Trials

MEAN = "single_subject/accuracy/validation/mean"


def tables(*rows):
    """Return the tables of epochs and trials of rows (subject, setup, protocol, permutation, accuracy)."""
    trials, epochs = [], []
    for i, (subject, setup, protocol, permutation, accuracy) in enumerate(rows):
        model = {"trial": f"t{i}", "training_set": f"sub-{subject}", "condition": "lr-0.001", "fold": 1, "seed": 0}
        audit = {"label_only_accuracy": accuracy / 2, "majority_accuracy": 0.3, "chance": 0.25}
        where = {"setup": setup, "protocol": protocol, "permutation": permutation, "state": "done", "control": ""}
        where |= {"outer": None, "basis": "b", "curve": "", "replaced": False}
        trials.append(model | where | audit)
        if not permutation:
            epochs.append(model | {"epoch": 1.0, "accuracy/train": 1.0, "accuracy/validation": accuracy})
    return pd.DataFrame(epochs), pd.DataFrame(trials)


def means(rows, tag=MEAN):
    epochs, trials = tables(*rows)
    values = aggregate(epochs, Trials(trials))
    return values[values["tag"] == tag].set_index("condition")["value"].to_dict()


def test_a_mean_is_over_subjects_of_one_condition():
    assert means([("01", "a", "run", 0, 0.4), ("02", "a", "run", 0, 0.6)]) == pytest.approx({"lr-0.001": 0.5})


def test_protocols_and_settings_of_one_condition_are_kept_apart():
    rows = [("01", "a", "random", 0, 0.9), ("02", "a", "random", 0, 0.7), ("01", "b", "block", 0, 0.4)]
    assert means(rows) == pytest.approx({"lr-0.001_random": 0.8, "lr-0.001_block": 0.4})
    labels = means(rows, "reference/label_only")
    assert labels == pytest.approx({"lr-0.001_random": 0.4, "lr-0.001_block": 0.2})
    assert set(means([*rows, ("01", "c", "block", 0, 0.1)])) == {"lr-0.001_a", "lr-0.001_b", "lr-0.001_c"}


def test_of_controls_only_the_best_one_is_a_reference():
    epochs, trials = tables(*(("01", setup, "run", 0, 0.4) for setup in "acde"))
    trials["accuracy_validation"] = [0.4, 0.9, 0.5, 0.99]
    trials["n_validation"] = 10
    for i, control in ((1, "time"), (2, "motion"), (3, "time")):
        trials.loc[i, ["control", "condition"]] = control, f"control-{control}"
    # Of other volumes.
    trials.loc[3, "basis"] = "other"
    values = aggregate(epochs, Trials(trials))
    assert set(values["condition"]) == {"lr-0.001"}
    assert values.loc[values["tag"] == MEAN, "value"].tolist() == [0.4]
    assert values.loc[values["tag"] == "reference/best_control", "value"].tolist() == [0.9]


def test_what_a_later_launch_replaced_and_permuted_labels_do_not_count():
    rows = [("01", "a", "run", 0, 0.9), ("01", "a", "run", 0, 0.4), ("01", "a", "run", 1, 0.1)]
    assert means(rows) == pytest.approx({"lr-0.001": 0.4})
    assert means(rows, "reference/label_only") == pytest.approx({"lr-0.001": 0.2})


def test_folds_count_by_their_volumes_once_these_are_known():
    epochs, trials = tables(("01", "a", "run", 0, 0.4), ("01", "a", "run", 0, 0.6))
    for table in (epochs, trials):
        table["fold"] = [1, 2]
    for volumes, mean in (([30, 10], 0.45), ([30, None], 0.5)):
        values = aggregate(epochs, Trials(trials.assign(n_validation=volumes))).groupby("tag")["value"].first()
        assert values[MEAN] == pytest.approx(mean)
        assert values["reference/label_only"] == pytest.approx(mean / 2)
