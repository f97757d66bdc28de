"""`deepemotion explain`: what a trained model looks at, and how it represents each volume."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer
from deepemotion.errors import UserError


def explain(
    folder: Annotated[Path, typer.Argument(help="Folder of a run, runs/NAME, or of a single training.")],
    trial: Annotated[
        str | None, typer.Option(help="The trial of a run to explain: its name, or the beginning of it.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of the packed subject files that the model was trained on.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="The labels.tsv that the model was trained on.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for maps, tables and figures; for a run, RUN/explain/TRIAL by default.")
    ] = None,
    all_volumes: Annotated[
        bool, typer.Option("--all", help="Average maps over all labelled volumes instead of those validated on.")
    ] = False,
    volumes: Annotated[
        int | None, typer.Option(min=1, help="The largest number of volumes to average per emotion.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, max=100_000, help="Number of steps of integrated gradients.")] = 32,
    annotations: Annotated[
        Path | None, typer.Option(help="Folder of the observers' CSV files, for arousal and valence.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="The truth folder of a simulated dataset, to score maps against its networks.")
    ] = None,
) -> None:
    """Map what a model looks at for each emotion (Grad-CAM, integrated gradients), and its hidden representation.

    A run records where its data is; for a single training give --data, --labels and --out.
    """
    from deepemotion.labels.table import Labels
    from deepemotion.subject_file.folder import find_subjects
    from deepemotion.training.data_sources import Sources
    from deepemotion.training.trial_directory import TrialDirectory, find_trial, is_run

    if trial is None:
        if is_run(folder):
            raise UserError(f"{folder}: this is a run; choose one of its trials with --trial")
        directory = TrialDirectory(folder)
        directory.require_finished()
        if data is None or labels is None or out is None:
            raise UserError(f"{folder}: give --data, --labels and --out, or a run's folder and --trial")
    else:
        directory = find_trial(folder, trial)
        directory.require_finished()
        recorded = Sources.read(folder)
        data, labels = data or recorded.packed, labels or recorded.labels
        out = out or folder / "explain" / directory.path.name
    Labels.read(labels)
    find_subjects(data)
    from deepemotion.trained.explanation import Options, describe
    from deepemotion.trained.explanation import explain as explain_trial

    options = Options(all_volumes, volumes, steps, annotations, truth)
    answer(describe(explain_trial(directory, data, labels, out, options), out))
