"""`deepemotion explain`: what a trained model looks at, and what it makes of each volume."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer


def explain(
    trial: Annotated[Path, typer.Argument(help="Folder of a finished training.")],
    data: Annotated[Path, typer.Option(help="Folder of the packed subject files that it was trained on.")],
    labels: Annotated[Path, typer.Option(help="The labels.tsv that it was trained on.")],
    out: Annotated[Path, typer.Option(help="Folder for maps, tables and figures.")],
    all_volumes: Annotated[
        bool, typer.Option("--all", help="Average maps over all labelled volumes, not those validated on.")
    ] = False,
    volumes: Annotated[int | None, typer.Option(min=1, help="At most so many volumes an emotion.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of integrated gradients.")] = 32,
    annotations: Annotated[Path | None, typer.Option(help="The observers' CSV files, for arousal and valence.")] = None,
    truth: Annotated[
        Path | None, typer.Option(help="A simulated dataset's truth/: how well maps find the planted networks.")
    ] = None,
) -> None:
    """Map what a model looks at for each emotion (Grad-CAM, integrated gradients), and its hidden representation."""
    from deepemotion.labels import Labels
    from deepemotion.subject_file import find_subjects
    from deepemotion.trial_directory import TrialDirectory

    TrialDirectory(trial).require_finished()
    Labels.read(labels)
    find_subjects(data)
    from deepemotion.explanation import Options, describe
    from deepemotion.explanation import explain as explain_trial

    options = Options(all_volumes, volumes, steps, annotations, truth)
    answer(describe(explain_trial(TrialDirectory(trial), data, labels, out, options), out))
