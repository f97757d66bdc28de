"""`deepemotion-launch work` and `ray-node`: what job scripts run inside a SLURM job."""

import os
from pathlib import Path
from typing import Annotated

import typer


def work(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")],
    submission: Annotated[
        int | None, typer.Option(help="Train what this submission holds; the whole plan by default.")
    ] = None,
    first_task: Annotated[int, typer.Option(help="Which of the submission's tasks index 0 of the array is.")] = 0,
) -> None:
    """Train this SLURM job's share of a run (slurm/*.sbatch use it): all, or in an array every n-th trial."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run.absolute())
    # Python and Ray look into the working directory first: a checkout there would take a snapshot's place.
    os.chdir(directory.path)
    from launcher.slurm import job

    raise typer.Exit(job.run(directory, submission, first_task))


def ray_node(
    head: Annotated[str, typer.Argument(help="IP:port of the session's Ray.")],
    folder: Annotated[Path, typer.Argument(help="Where it keeps its sockets and logs.")],
) -> None:
    """Join another node of the same SLURM job."""
    from launcher.slurm.ray_node import serve

    raise typer.Exit(serve(head, folder))
