"""Accuracies over epochs, means over models: what the paper's figure 3 and TensorBoard show of a condition."""

import pandas as pd

from launcher.planning.training_sets import POOLED, SINGLE
from launcher.tables import conditions
from launcher.tables.selection import Trials, of_kind

_SIDES = ("train", "validation")
_REFERENCES = {"chance": "chance", "label_only": "label_only_accuracy", "majority": "majority_accuracy"}


def aggregate(epochs: pd.DataFrame, trials: Trials) -> pd.DataFrame:
    """Return condition, epoch, tag, value: accuracies over epochs of the single-subject models together and of pooled.

    `condition` is that of `conditions.names`: trials under different protocols or settings are not averaged, and of
    trials whose labels or volumes a later launch replaced only the last count. Permuted ones and controls never count.

    `single_subject/accuracy/SIDE/{mean,minus_sd,plus_sd}` is over the models that have reached the epoch, folds and
    seeds of a model averaged first, by their volumes; SD is the sample's (n - 1), 0 for one model.
    `pooled/accuracy/SIDE` is the pooled model's. `reference/{chance,label_only,majority}` are means over the
    single-subject trials that are done (over all trials where there is none). `reference/best_control` is the accuracy
    of the control that scores highest over the same volumes, where there are controls.
    """
    parts = []
    counted = trials.brain.true_labels.latest.current.table
    counted = counted.assign(condition=conditions.names(counted))
    sizes = [f"n_{side}" for side in _SIDES if f"n_{side}" in counted]
    epochs = epochs.drop(columns="condition").merge(counted[["trial", "condition", *sizes]], on="trial")
    if epochs.empty:
        return pd.DataFrame(columns=["condition", "epoch", "tag", "value"])
    single = of_kind(epochs, SINGLE)
    for side in _SIDES:
        column = f"accuracy/{side}"
        a_model = _mean(single, column, side, ["condition", "epoch", "training_set"])
        grouped = a_model.groupby(["condition", "epoch"])
        mean, sd = grouped.mean(), grouped.std().fillna(0.0)
        tag = f"single_subject/accuracy/{side}"
        parts += [_long(mean, f"{tag}/mean"), _long(mean - sd, f"{tag}/minus_sd"), _long(mean + sd, f"{tag}/plus_sd")]
        pooled = _mean(of_kind(epochs, POOLED), column, side, ["condition", "epoch"])
        parts.append(_long(pooled, f"pooled/accuracy/{side}"))
    curves = pd.concat(parts, ignore_index=True)
    best_control = _best_control(trials.controls.true_labels.latest.current, counted)
    return pd.concat([curves, _references(curves, Trials(counted), best_control)], ignore_index=True)


def _mean(rows: pd.DataFrame, column: str, side: str, keys: list[str]) -> pd.Series:
    """Return the mean over folds and seeds, weighted by their volumes as in the statistics."""
    # The number of volumes is known for trials that are done; the others count as the mean of these.
    volumes = rows.get(f"n_{side}", pd.Series(float("nan"), rows.index))
    weight = volumes.fillna(volumes.mean()).fillna(1.0)
    sums = pd.DataFrame({"value": rows[column] * weight, "weight": weight}).groupby([rows[key] for key in keys]).sum()
    mean: pd.Series = sums["value"] / sums["weight"]
    return mean


def _long(values: pd.Series, tag: str) -> pd.DataFrame:
    return values.rename("value").reset_index().assign(tag=tag)


def _references(curves: pd.DataFrame, trials: Trials, best_control: pd.Series) -> pd.DataFrame:
    done = (trials.done.single if len(trials.done.single) else trials.done).table
    means = {name: _mean(done, column, "validation", ["condition"]) for name, column in _REFERENCES.items()}
    steps = curves[["condition", "epoch"]].drop_duplicates()
    values = pd.DataFrame(means | {"best_control": best_control}).reset_index(names="condition")
    flat = steps.merge(values, on="condition")
    names = [*_REFERENCES, *(["best_control"] if len(best_control) else [])]
    return pd.concat(
        [flat[["condition", "epoch"]].assign(tag=f"reference/{name}", value=flat[name]) for name in names],
        ignore_index=True,
    )


def _best_control(controls: Trials, counted: pd.DataFrame) -> pd.Series:
    """Return the accuracy of each condition's best control, over its single-subject trials if it has any."""
    done = (controls.done.single if len(controls.done.single) else controls.done).table
    if done.empty:
        return pd.Series(dtype=float)
    best = _mean(done, "accuracy_validation", "validation", ["basis", "condition"]).groupby("basis").max()
    of_condition: pd.Series = counted["basis"].map(best).groupby(counted["condition"]).max()
    return of_condition
