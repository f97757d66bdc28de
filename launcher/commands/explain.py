"""`deepemotion-launch explain RUN --trial T`: `deepemotion explain` for a trial of a run."""

from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer


def explain(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")],
    trial: Annotated[str, typer.Option(help="A trial's name or its beginning.")],
    all_volumes: Annotated[
        bool, typer.Option("--all", help="Average maps over all labelled volumes, not those validated on.")
    ] = False,
    volumes: Annotated[int | None, typer.Option(min=1, help="At most so many volumes an emotion.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of integrated gradients.")] = 32,
    annotations: Annotated[Path | None, typer.Option(help="The observers' CSV files, for arousal and valence.")] = None,
) -> None:
    """Map what a trial's model looks at, and its hidden representation, into RUN/explain/TRIAL/."""
    from launcher import logs
    from launcher.run_directory import RunDirectory

    directory = RunDirectory.existing(run)
    # A trial's log lies in its folder, and is found by the beginning of the trial's name.
    name = logs.find(directory, trial).parent.name
    packed, labels = directory.read_sources()
    directory.trial(name).require_finished()
    from deepemotion.labels import Labels
    from deepemotion.subject_file import find_subjects

    Labels.read(labels)
    find_subjects(packed)
    from deepemotion.explanation import Options, describe
    from deepemotion.explanation import explain as explain_trial

    out = directory.path / "explain" / name
    options = Options(all_volumes, volumes, steps, annotations)
    answer(describe(explain_trial(directory.trial(name), packed, labels, out, options), out))
