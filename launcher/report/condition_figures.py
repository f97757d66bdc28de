"""The figures of each condition: the paper's figures 3, 5 and 6, and those around them."""

import pandas as pd
from matplotlib.figure import Figure

from deepemotion.figures import (
    calibration,
    confusion,
    controls,
    emotions,
    held_out,
    label_audit,
    learning,
    training_size,
)
from launcher.evidence.findings import best_rows, compute_findings
from launcher.evidence.learning_curves import curve_table, learning_curves, shown
from launcher.evidence.models import TOGETHER
from launcher.planning.training_sets import HELD_OUT_FOLD, LEFT_OUT, POOLED, SINGLE
from launcher.report.figure_data import Material, read_predictions
from launcher.report.run_figure import FigureOfCondition
from launcher.tables.aggregates import aggregate
from launcher.tables.epochs import epochs_table
from launcher.tables.held_out import SPLITS, HeldOutPredictions, read_right
from launcher.tables.selection import Trials

_MODELS = (SINGLE, POOLED)
_NEEDS_MODELS = "needs single-subject models or the pooled one"
_NEEDS_LEFT_OUT = "needs training sets that leave subjects out: launch with --held-out-folds or --protocol subject"


def _learning(material: Material) -> Figure:
    epochs = epochs_table(material.run)
    values = aggregate(epochs[epochs["trial"].isin(material.trials["trial"])], Trials(material.trials))
    note = _volumes(material, material.sets(SINGLE, POOLED))
    return learning.learning_curves(values, material.condition, len(material.sets(SINGLE)), note)


def _emotions(material: Material) -> Figure:
    # Training sets that leave subjects out are figure 6's.
    models = material.sets(SINGLE, POOLED)
    note = _volumes(material, models)
    below = [name for name in material.below() if name in models]
    accuracy = emotions.accuracy_table({name: material.rows(name, "validation") for name in models}, material.classes)
    return emotions.emotion_by_model(accuracy, len(material.sets(SINGLE)), below, note)


def _volumes(material: Material, models: list[str]) -> str:
    """Return the sentence on how many validation volumes the models have, folds and seeds together."""
    trials = material.trials[material.trials["training_set"].isin(models)]
    volumes = trials.groupby("training_set")["n_validation"].sum()
    least, most = f"{volumes.min():.0f}", f"{volumes.max():.0f}"
    return f"n = {least if least == most else f'{least} to {most}'} validation volumes a model."


def _held_out(material: Material) -> Figure:
    models = material.sets(HELD_OUT_FOLD, LEFT_OUT)
    rows = material.predictions[material.predictions["training_set"].isin(models)]
    note = f"Recall of each emotion and subject; {rows['trial'].nunique()} models."
    return held_out.seen_and_unseen(held_out.panels(rows, material.trials, material.classes), note)


def _confusion(material: Material) -> Figure:
    models = material.sets(SINGLE, POOLED)
    single = [material.rows(name, "validation") for name in material.sets(SINGLE)]
    pooled = material.rows(POOLED, "validation")
    note = f"Rows add up to 100 %. {material.marks(models)}"
    return confusion.confusion_matrices(single, None if pooled.empty else pooled, material.classes, note)


def _label_audit(material: Material) -> Figure:
    models = material.trials["training_set"].nunique()
    return label_audit.against_labels(material.trials, f"Accuracy beside what needs no brain data ({models} models)")


def _controls(material: Material) -> Figure | str:
    done = material.controls.done.table
    if done.empty:
        return "needs finished trials of controls: launch with --controls all"
    predictions = pd.concat([material.predictions, read_predictions(material.run, done)], ignore_index=True)
    tested = predictions[predictions["split"].isin(SPLITS)].reset_index(drop=True)
    trials = Trials(pd.concat([material.trials, material.controls.table], ignore_index=True))
    found = compute_findings(trials, HeldOutPredictions(tested, pd.DataFrame()))
    columns = {"accuracy_low": "low", "accuracy_high": "high", "beats_controls": "beats"}
    models = best_rows(found.scores).rename(columns=columns).assign(model=_model_and_split)
    scores = found.controls.rename(columns=columns).assign(model=_model_and_split)
    scores = scores.assign(control=scores["condition"].map(dict(zip(done["condition"], done["control"], strict=True))))
    note = "Points: accuracy over folds and seeds, with 95 % over blocks of the movie. All are of the same volumes."
    return controls.against_controls(models, scores, f"The brain against controls ({material.condition})", note)


def _learning_curve(material: Material) -> Figure | str:
    if not len(material.parts):
        return "needs trainings on a part of the data: launch with --learning-curve"
    trials = Trials(pd.concat([material.trials, material.parts.table], ignore_index=True))
    curves = learning_curves(trials, read_right(material.run.tables / "predictions.parquet", trials))
    table = curve_table(shown(curves))
    if table.empty:
        return "no fold has all of its parts yet"
    points = table.rename(columns={"accuracy_low": "low", "accuracy_high": "high"}).assign(model=_model_and_split)
    note = (
        "Points: accuracy on the same volumes for each size, with 95 % over models or, for one model, over folds."
        " Lines: a - b n^-c, fitted where there are at least three sizes."
    )
    title = f"Accuracy over the amount of training data ({material.condition})"
    return training_size.over_training_size(points, material.trials["chance"].mean(), title, note)


def _model_and_split(rows: pd.DataFrame) -> pd.Series:
    unseen = (rows["split"] == "unseen") & ~rows["training_set"].isin(TOGETHER.values())
    return rows["training_set"] + unseen.map({True: " on unseen", False: ""})


def _calibration(material: Material) -> Figure:
    models = material.sets(SINGLE, POOLED)
    single = [material.rows(name, "validation") for name in material.sets(SINGLE)]
    groups = {f"{len(single)} single-subject models": pd.concat(single)} if single else {}
    if POOLED in models:
        groups["pooled model"] = material.rows(POOLED, "validation")
    return calibration.calibration_curves(groups, material.classes, material.marks(models))


LEARNING = FigureOfCondition("figure-3", "Figure 3: accuracy over epochs", _learning, _MODELS, _NEEDS_MODELS)
EMOTIONS = FigureOfCondition(
    "figure-5", "Figure 5: accuracy of each emotion in each model", _emotions, _MODELS, _NEEDS_MODELS
)
HELD_OUT = FigureOfCondition(
    "figure-6",
    "Figure 6: subjects that were trained on, and subjects that were not",
    _held_out,
    (HELD_OUT_FOLD, LEFT_OUT),
    _NEEDS_LEFT_OUT,
)
CONFUSION = FigureOfCondition("confusion", "Which emotion is predicted as which", _confusion, _MODELS, _NEEDS_MODELS)
LABEL_AUDIT = FigureOfCondition(
    "labels-alone",
    "Accuracy beside what needs no brain data",
    _label_audit,
    (*_MODELS, HELD_OUT_FOLD, LEFT_OUT),
    "needs a finished model",
)
CONTROLS = FigureOfCondition(
    "controls",
    "The brain against controls",
    _controls,
    (*_MODELS, HELD_OUT_FOLD, LEFT_OUT),
    "needs a finished model",
)
LEARNING_CURVE = FigureOfCondition(
    "learning-curve",
    "Accuracy over the amount of training data",
    _learning_curve,
    (*_MODELS, HELD_OUT_FOLD, LEFT_OUT),
    "needs a finished model",
)
CALIBRATION = FigureOfCondition("calibration", "Confidence against accuracy", _calibration, _MODELS, _NEEDS_MODELS)
