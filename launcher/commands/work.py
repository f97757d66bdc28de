"""`deepemotion-launch work` and `ray-node`: what job scripts run inside SLURM jobs."""

import os
from pathlib import Path
from typing import Annotated

import typer


def work(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")],
    submission: Annotated[
        int | None, typer.Option(help="Train the trials of this submission; by default, the whole plan.")
    ] = None,
    first_task: Annotated[int, typer.Option(help="Number of the submission's task that array index 0 trains.")] = 0,
) -> None:
    """Train this SLURM job's share of a run (slurm/*.sbatch use it): all, or in an array every n-th trial."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run.absolute())
    # Python and Ray look into the working directory first: a checkout there would be used instead of a snapshot.
    os.chdir(directory.path)
    from launcher.slurm import job

    raise typer.Exit(job.run(directory, submission, first_task))


def ray_node(
    head: Annotated[str, typer.Argument(help="IP:port of the session's Ray.")],
    folder: Annotated[Path, typer.Argument(help="Folder for its sockets and logs.")],
) -> None:
    """Join this node to the Ray of the same SLURM job."""
    from launcher.slurm.ray_node import serve

    raise typer.Exit(serve(head, folder))
