"""Figures of one subject: figure 4, what the scenes of one emotion are predicted as, and the timeline of the movie."""

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from deepemotion.figures import one_emotion, style, timeline
from launcher.planning.training_sets import LEFT_OUT, POOLED, SINGLE
from launcher.report.figure_data import Choice, Material, tested
from launcher.report.run_figure import FigureOfSubject

# The subject of the paper's figure 4: its column 18.
_PAPER_SUBJECT, _PAPER_EMOTION = "19", "LOVE"


@dataclass(frozen=True)
class _Answers:
    """What one model predicted for a subject: all of its volumes, and those held out, with a title and a note."""

    volumes: pd.DataFrame
    held_out: pd.DataFrame
    title: str
    note: str


def _subject(material: Material, choice: Choice) -> str:
    """Return the chosen subject, else the paper's, else the last one that a model was tested on."""
    subjects = tested(material.predictions)
    return choice.subject or (_PAPER_SUBJECT if _PAPER_SUBJECT in subjects else subjects[-1])


def _answers(material: Material, subject: str) -> _Answers | None:
    """Return what the subject's own model predicted, or one that was tested on the subject; None where none was."""
    if subject not in tested(material.predictions):
        return None
    own = f"{SINGLE}{subject}"
    volumes = material.predictions[material.predictions["subject"] == subject]
    scored = volumes[volumes["split"].isin(style.HELD_OUT)]
    wanted = [own, POOLED, f"{LEFT_OUT}{subject}", *scored["training_set"]]
    model = next(name for name in wanted if (scored["training_set"] == name).any())
    scored = scored[scored["training_set"] == model]
    mark = "" if material.beats(model, str(scored["split"].iloc[0])) else style.DAGGER
    accuracy = 100 * float((scored["label"] == scored["prediction"]).mean())
    note = f"Accuracy over all its held-out volumes {accuracy:.1f} %{mark} (n = {len(scored)}). "
    note += style.DAGGER_MEANS if mark else ""
    title = f"sub-{subject}, {'its own model' if model == own else f'model {model}'}"
    return _Answers(volumes[volumes["training_set"] == model], scored, title, note)


def _one_emotion(material: Material, choice: Choice) -> tuple[str, Figure | str]:
    subject = _subject(material, choice)
    names = {name.upper(): name for name in material.classes}
    emotion = names.get((choice.emotion or _PAPER_EMOTION).upper(), material.classes[0])
    of_what = f"sub-{subject}_{emotion.lower()}"
    answers = _answers(material, subject)
    if answers is None:
        return of_what, f"no finished model of this condition was tested on sub-{subject}"
    if not (answers.held_out["label"] == emotion).any():
        return of_what, f"sub-{subject} has no held-out volume of {emotion}"
    title = f"{answers.title}: held-out {emotion.capitalize()} scenes"
    figure = one_emotion.predictions_of_emotion(answers.held_out, emotion, material.classes, title, answers.note)
    return of_what, figure


def _timeline(material: Material, choice: Choice) -> tuple[str, Figure | str] | None:
    subject = _subject(material, choice)
    answers = _answers(material, subject)
    if answers is None:
        # Figure 4 says so.
        return None
    title = f"{answers.title}: emotions along the movie"
    return f"sub-{subject}", timeline.timeline(answers.volumes, material.classes, title, answers.note)


ONE_EMOTION = FigureOfSubject("figure-4", "Figure 4: what the scenes of one emotion are predicted as", _one_emotion)
TIMELINE = FigureOfSubject("timeline", "Emotions along the movie", _timeline)
