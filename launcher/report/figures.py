"""The figures of a run: which there are, what each is drawn from, and why one is left out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from deepemotion.figures import (
    calibration,
    confusion,
    emotions,
    held_out,
    label_audit,
    learning,
    one_emotion,
    style,
    timeline,
)
from launcher.planning.training_sets import HELD_OUT_FOLD, LEFT_OUT, POOLED, SINGLE
from launcher.report import figure_data, input_figures
from launcher.report.figure_data import Choice, Material
from launcher.run.directory import RunDirectory
from launcher.tables.selection import Trials
from launcher.tables.tensorboard import aggregate
from launcher.tables.trials import epochs_table

# The subject of the paper's figure 4: its column 18.
_PAPER_SUBJECT, _PAPER_EMOTION = "19", "LOVE"
_NEEDS_MODELS = "needs single-subject models or the pooled one"
_FIGURE_6_NEEDS = "needs training sets that leave subjects out: launch with --held-out-folds or --protocol subject"


@dataclass(frozen=True)
class Drawn:
    """A figure and the name of its files."""

    name: str
    figure: Figure


@dataclass(frozen=True)
class Skipped:
    """A figure that cannot be drawn, and why."""

    name: str
    why: str


def title(name: str) -> str:
    """Return the heading of a figure from the name of its files: what it shows, and in brackets of what."""
    kind, _, of_what = name.partition("_")
    return _TITLES[kind] + (f" ({of_what.replace('_', ', ')})" if of_what else "")


def draw(run: RunDirectory, trials: Trials, choice: Choice) -> Iterator[Drawn | Skipped]:
    """Draw a run's figures one after the other from its tables; `trials` is what `trials.write_tables` returned.

    Trials on permuted labels take no part. Raises UserError before anything is drawn for a condition, subject or
    emotion that no finished trial has.
    """
    conditions = figure_data.read(run, trials, choice)
    yield _made("figure-1", input_figures.labels(run, choice.annotations))
    done = [trial for material in conditions for trial in material.trials["trial"]]
    for name, figure in input_figures.networks(run, done):
        yield _made(f"figure-2_{name}", figure)
    for material in conditions:
        for name, drawer in _FIGURES.items():
            yield _made(f"{name}_{material.name}", drawer(material))
        yield from _of_a_subject(material, choice)


def _made(name: str, figure: Figure | str) -> Drawn | Skipped:
    return Skipped(name, figure) if isinstance(figure, str) else Drawn(name, figure)


def _learning(material: Material) -> Figure | str:
    if not material.sets(SINGLE, POOLED):
        return _NEEDS_MODELS
    epochs = epochs_table(material.run)
    values = aggregate(epochs[epochs["trial"].isin(material.trials["trial"])], Trials(material.trials))
    note = _volumes(material, material.sets(SINGLE, POOLED))
    return learning.learning_curves(values, material.condition, len(material.sets(SINGLE)), note)


def _emotions(material: Material) -> Figure | str:
    # Training sets that leave subjects out are figure 6's.
    models = material.sets(SINGLE, POOLED)
    if not models:
        return _NEEDS_MODELS
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


def _held_out(material: Material) -> Figure | str:
    models = material.sets(HELD_OUT_FOLD, LEFT_OUT)
    if not models:
        return _FIGURE_6_NEEDS
    rows = material.predictions[material.predictions["training_set"].isin(models)]
    note = f"Recall of each emotion and subject; {rows['trial'].nunique()} models."
    return held_out.seen_and_unseen(held_out.panels(rows, material.trials, material.classes), note)


def _confusion(material: Material) -> Figure | str:
    models = material.sets(SINGLE, POOLED)
    if not models:
        return _NEEDS_MODELS
    single = [material.rows(name, "validation") for name in material.sets(SINGLE)]
    pooled = material.rows(POOLED, "validation")
    note = f"Rows add up to 100 %. {material.marks(models)}"
    return confusion.confusion_matrices(single, None if pooled.empty else pooled, material.classes, note)


def _label_audit(material: Material) -> Figure | str:
    models = material.trials["training_set"].nunique()
    return label_audit.against_labels(material.trials, f"Accuracy beside what needs no brain data ({models} models)")


def _calibration(material: Material) -> Figure | str:
    models = material.sets(SINGLE, POOLED)
    if not models:
        return _NEEDS_MODELS
    single = [material.rows(name, "validation") for name in material.sets(SINGLE)]
    groups = {f"{len(single)} single-subject models": pd.concat(single)} if single else {}
    if POOLED in models:
        groups["pooled model"] = material.rows(POOLED, "validation")
    return calibration.calibration_curves(groups, material.classes, material.marks(models))


def _of_a_subject(material: Material, choice: Choice) -> Iterator[Drawn | Skipped]:
    """Draw figure 4 and the timeline, of the subject's own model or else of one that was tested on the subject."""
    names = {name.upper(): name for name in material.classes}
    emotion = names.get((choice.emotion or _PAPER_EMOTION).upper(), material.classes[0])
    there = figure_data.tested(material.predictions)
    subject = choice.subject or (_PAPER_SUBJECT if _PAPER_SUBJECT in there else there[-1])
    pie = f"figure-4_{material.name}_sub-{subject}_{emotion.lower()}"
    if subject not in there:
        yield Skipped(pie, f"no finished model of this condition was tested on sub-{subject}")
        return
    own = f"{SINGLE}{subject}"
    of_subject = material.predictions[material.predictions["subject"] == subject]
    scored = of_subject[of_subject["split"].isin(style.HELD_OUT)]
    wanted = [own, POOLED, f"{LEFT_OUT}{subject}", *scored["training_set"]]
    model = next(name for name in wanted if (scored["training_set"] == name).any())
    scored = scored[scored["training_set"] == model]
    title = f"sub-{subject}, {'its own model' if model == own else f'model {model}'}"
    mark = "" if material.beats(model, str(scored["split"].iloc[0])) else style.DAGGER
    accuracy = 100 * float((scored["label"] == scored["prediction"]).mean())
    note = f"Accuracy over all its held-out volumes {accuracy:.1f} %{mark} (n = {len(scored)}). "
    note += style.DAGGER_MEANS if mark else ""
    if (scored["label"] == emotion).any():
        pie_title = f"{title}: held-out {emotion.capitalize()} scenes"
        yield Drawn(pie, one_emotion.predictions_of_emotion(scored, emotion, material.classes, pie_title, note))
    else:
        yield Skipped(pie, f"sub-{subject} has no held-out volume of {emotion}")
    along = of_subject[of_subject["training_set"] == model]
    shown = timeline.timeline(along, material.classes, f"{title}: emotions along the movie", note)
    yield Drawn(f"timeline_{material.name}_sub-{subject}", shown)


_FIGURES: dict[str, Callable[[Material], Figure | str]] = {
    "figure-3": _learning,
    "figure-5": _emotions,
    "figure-6": _held_out,
    "confusion": _confusion,
    "labels-alone": _label_audit,
    "calibration": _calibration,
}
_TITLES = {
    "figure-1": "Figure 1: labels that the observers gave",
    "figure-2": "Figure 2: the network",
    "figure-3": "Figure 3: accuracy over epochs",
    "figure-4": "Figure 4: what the scenes of one emotion are taken for",
    "figure-5": "Figure 5: accuracy of each emotion in each model",
    "figure-6": "Figure 6: subjects that were trained on, and subjects that were not",
    "confusion": "Which emotion is taken for which",
    "labels-alone": "Accuracy beside what needs no brain data",
    "calibration": "Confidence against accuracy",
    "timeline": "Emotions along the movie",
}
