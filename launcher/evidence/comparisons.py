"""The comparisons that an experiment declared beforehand: the difference in accuracy over folds, tested."""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from deepemotion.scoring import hypothesis_tests
from deepemotion.scoring.resampled_test import corrected_resampled_t
from launcher.planning import comparisons
from launcher.planning.comparisons import Comparison
from launcher.planning.training_sets import HELD_OUT_FOLD, LEFT_OUT, POOLED, SINGLE
from launcher.run.directory import RunDirectory
from launcher.tables import stored
from launcher.tables.selection import Trials, of_kind

# The models that are compared together, by what their training sets' names begin with, and which of their scores.
_KINDS = {
    SINGLE: ("single-subject", "validation"),
    POOLED: ("pooled", "validation"),
    LEFT_OUT: ("left-out subjects", "unseen"),
    HELD_OUT_FOLD: ("held-out folds", "unseen"),
}
_PLACE = ["training_set", "fold", "seed"]


def write_comparisons(run: RunDirectory, trials: Trials) -> tuple[pd.DataFrame, list[str]]:
    """Write tables/comparisons.csv, empty where none was declared; return it and a sentence for each comparison.

    Raises UserError where the run's experiment cannot be read.
    """
    wanted = comparisons.declared(run.read_experiment()) if run.experiment_file.exists() else []
    table = comparison_table(trials, wanted)
    stored.write(run.tables / "comparisons.csv", partial(table.to_csv, index=False))
    return table, sentences(table, wanted)


def comparison_table(trials: Trials, wanted: Sequence[Comparison]) -> pd.DataFrame:
    """Return a row for each declared pair of conditions, kind of models and protocol for which both are done.

    Columns: first and second, as declared, and first_condition and second_condition; models (single-subject, pooled,
    left-out subjects or held-out folds) and protocol; n, how many models of that kind both have, in how many folds and
    seeds; first_accuracy and second_accuracy; difference (first - second), with low and high (95 %) and p of
    `corrected_resampled_t`; p_holm, that corrected for all pairs that were declared, among the same models;
    test_train_ratio.

    Accuracies are means over models and seeds of a fold, then over folds: of single subjects on validation volumes, of
    models that leave subjects out on these. Only models, folds and seeds that both conditions have count. Seeds are
    averaged because they share a fold's training and test volumes: to count them as further resamples would make p too
    small. The ratio is that of validation to training volumes, also for models that leave subjects out, whose folds
    overlap in the movie as those of other models do.
    """
    done = trials.brain.latest.done.true_labels.table
    rows: list[dict[str, Any]] = []
    for comparison in wanted:
        for first, second in comparison.conditions:
            for protocol in done["protocol"].unique():
                for prefix, (models, split) in _KINDS.items():
                    of_protocol = of_kind(done[done["protocol"] == protocol], prefix)
                    both = _paired(of_protocol, first, second, f"accuracy_{split}")
                    if len(both):
                        names = {"first": comparison.first, "second": comparison.second}
                        names |= {"first_condition": first, "second_condition": second}
                        rows.append({**names, "models": models, "protocol": protocol, **_compared(both)})
    table = pd.DataFrame(rows)
    if not table.empty:
        for _, group in table.groupby(["models", "protocol"], sort=False):
            table.loc[group.index, "p_holm"] = hypothesis_tests.holm(group["p"].to_numpy(dtype=np.float64))
    return table


def sentences(table: pd.DataFrame, wanted: Sequence[Comparison]) -> list[str]:
    """Return a sentence for each row of a comparison table, and for each comparison that has none yet."""
    said = []
    for comparison in wanted:
        pair = f"{comparison.first} against {comparison.second}"
        mine = (
            table[(table["first"] == comparison.first) & (table["second"] == comparison.second)]
            if len(table)
            else table
        )
        said += [f"{pair}: nothing to compare yet, since no fold of both is done"] if mine.empty else []
        for row in mine.to_dict("records"):
            several = len(comparison.conditions) > 1
            where = f" ({row['first_condition']}, {row['second_condition']})" if several else ""
            said.append(f"{pair}{where}, {row['models']}, {row['protocol']}: {_in_words(row)}")
    return said


def _in_words(row: Mapping[Hashable, Any]) -> str:
    accuracies = f"{100 * row['first_accuracy']:.1f} against {100 * row['second_accuracy']:.1f} %"
    difference = f"{accuracies}, difference {100 * row['difference']:+.1f}"
    if row["folds"] < 2:
        return f"{difference}; with a single fold there is nothing to compare: no interval, no p"
    if np.isnan(row["p"]):
        return f"{difference} in every fold, so no interval and no p"
    holm = "" if row["p_holm"] == row["p"] else f", Holm {row['p_holm']:.2g}"
    return (
        f"{difference} [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}], p = {row['p']:.2g}{holm}"
        f" (corrected resampled t-test over {row['folds']} folds; models: {row['n']})"
    )


def _paired(rows: pd.DataFrame, first: str, second: str, accuracy: str) -> pd.DataFrame:
    """Return the models, folds and seeds that both conditions have, with accuracy_first and accuracy_second."""
    if accuracy not in rows:
        return pd.DataFrame()
    sides = []
    for condition in (first, second):
        of_condition = rows[(rows["condition"] == condition) & rows[accuracy].notna()]
        # A later launch into the run may have changed other settings: the setup planned last counts.
        newest = (
            of_condition[of_condition["setup"] == of_condition["setup"].iloc[-1]] if len(of_condition) else of_condition
        )
        sides.append(
            newest[[*_PLACE, "n_train", "n_validation"]].assign(
                fold=newest["fold"].fillna(0), accuracy=newest[accuracy]
            )
        )
    return sides[0].merge(sides[1], on=_PLACE, suffixes=("_first", "_second"))


def _compared(both: pd.DataFrame) -> dict[str, Any]:
    folds = both.groupby("fold")[["accuracy_first", "accuracy_second"]].mean()
    differences = (folds["accuracy_first"] - folds["accuracy_second"]).to_numpy(dtype=np.float64)
    ratio = float(both["n_validation_first"].sum() / both["n_train_first"].sum())
    found = corrected_resampled_t(differences, ratio)
    return {
        "n": both["training_set"].nunique(),
        "folds": len(folds),
        "seeds": both["seed"].nunique(),
        "first_accuracy": folds["accuracy_first"].mean(),
        "second_accuracy": folds["accuracy_second"].mean(),
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "test_train_ratio": ratio,
    }
