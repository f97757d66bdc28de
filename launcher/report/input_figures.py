"""Figures 1 and 2 of a run: the observers' labels, and the networks as built for its volumes."""

from collections.abc import Iterator
from pathlib import Path

import torch
from matplotlib.figure import Figure

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.figures import labels as label_figure
from deepemotion.figures import network
from deepemotion.labels import annotations as raw
from deepemotion.labels import consensus
from deepemotion.labels.rules import Rule
from deepemotion.labels.statistics import LabelStatistics
from deepemotion.labels.table import Labels
from deepemotion.models import registry
from deepemotion.samples.grid import Grid
from deepemotion.samples.load import common_grid
from deepemotion.settings.schema import Trial
from deepemotion.subject_file.folder import open_subjects
from deepemotion.training.data_sources import Sources
from launcher.report.run_figure import FigureOfInputs
from launcher.run.directory import RunDirectory

# Figure 1 shows the observers who saw the film, as in the paper, with all their events.
_RULE, _OBSERVERS = "interval", "av"


def _labels(run: RunDirectory, trials: list[str], annotations: Path | None) -> Iterator[tuple[str, Figure | str]]:
    """Draw figure 1 from the observers' files in `annotations`, over the movie times of the run's labels."""
    yield "", _figure_1(run, annotations)


def _figure_1(run: RunDirectory, annotations: Path | None) -> Figure | str:
    if annotations is None:
        return "a run does not record where the observers' annotations are; give --annotations FOLDER"
    labels_file = Sources.read(run.path).labels
    times = Labels.read(labels_file).movie_time
    rule = Rule.read(config_files.find(_RULE, "labels")).replaced("figure 1", observers=_OBSERVERS)
    events = raw.read(annotations, rule.observers, rule.class_of)
    observed = consensus.labels_given(events, consensus.TimeGrid(times[0], times[1] - times[0], len(times)), rule)
    if not observed.any():
        raise UserError(f"{annotations}: no label falls into the {len(times)} movie times of {labels_file}")
    caption = f"Observers {', '.join(events)}."
    return label_figure.draw(LabelStatistics.of(observed, tuple(rule.class_of)), rule.class_of, caption)


def _networks(run: RunDirectory, trials: list[str], annotations: Path | None) -> Iterator[tuple[str, Figure | str]]:
    """Draw figure 2 for each model of these trials, at the shape of their volumes; yields (model's name, figure)."""
    planned = {trial.name: trial for trial in run.read_plan()}
    seen = []
    for name in trials:
        trial = planned[name].trial
        if trial.model not in seen:
            seen.append(trial.model)
            yield trial.model.name, _network(run, trial)


def _network(run: RunDirectory, trial: Trial) -> Figure | str:
    sources = Sources.read(run.path)
    try:
        with open_subjects(sources.packed, trial.all_subjects) as files:
            grid = common_grid(files.values(), trial.data)
        x, y, z = grid.shape
        layers = _layers(trial, grid, len(Labels.read(sources.labels).classes))
    except UserError as error:
        return f"the data that it was built for cannot be read any more ({error})"
    return network.network(trial.model.name, layers, (z, y, x))


def _layers(trial: Trial, grid: Grid, classes: int) -> list[network.Layer]:
    x, y, z = grid.shape
    try:
        # Nothing is computed: at the real shape the first fully connected layer alone holds half a gigabyte.
        with torch.device("meta"):
            return network.layers(registry.build(trial.model, (z, y, x), classes, grid), (z, y, x))
    except RuntimeError:
        # Some models need actual values.
        return network.layers(registry.build(trial.model, (z, y, x), classes, grid), (z, y, x))


LABELS = FigureOfInputs("figure-1", "Figure 1: labels that the observers gave", _labels)
NETWORKS = FigureOfInputs("figure-2", "Figure 2: the network", _networks)
