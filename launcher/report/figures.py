"""The figures of a run: which there are, in which order they are drawn, and their headings."""

from collections.abc import Iterator

from launcher.report import condition_figures, figure_data, input_figures, subject_figures
from launcher.report.figure_data import Choice
from launcher.report.run_figure import Drawn, FigureOfCondition, FigureOfInputs, FigureOfSubject, Skipped
from launcher.run.directory import RunDirectory
from launcher.tables.selection import Trials

# Each figure of these lists is drawn and headed; its name, title and needs are where it is defined.
_OF_RUN: tuple[FigureOfInputs, ...] = (
    input_figures.LABELS,
    input_figures.NETWORKS,
)
_OF_CONDITION: tuple[FigureOfCondition | FigureOfSubject, ...] = (
    condition_figures.LEARNING,
    condition_figures.EMOTIONS,
    condition_figures.HELD_OUT,
    condition_figures.CONFUSION,
    condition_figures.LABEL_AUDIT,
    condition_figures.LEARNING_CURVE,
    condition_figures.CONTROLS,
    condition_figures.CALIBRATION,
    subject_figures.ONE_EMOTION,
    subject_figures.TIMELINE,
)


def title(name: str) -> str:
    """Return the heading of a figure from the name of its files: what it shows, and in brackets of what."""
    kind, _, of_what = name.partition("_")
    titles = {figure.name: figure.title for figure in (*_OF_RUN, *_OF_CONDITION)}
    return titles[kind] + (f" ({of_what.replace('_', ', ')})" if of_what else "")


def draw(run: RunDirectory, trials: Trials, choice: Choice) -> Iterator[Drawn | Skipped]:
    """Draw a run's figures one after the other from its tables; `trials` is what `trials.write_tables` returned.

    Trials on permuted labels take no part. Raises UserError before anything is drawn for a condition, subject or
    emotion that no finished trial has.
    """
    conditions = figure_data.read(run, trials, choice)
    done = [trial for material in conditions for trial in material.trials["trial"]]
    for of_run in _OF_RUN:
        yield from of_run.of(run, done, choice)
    for material in conditions:
        for of_condition in _OF_CONDITION:
            yield from of_condition.of(material, choice)
