"""`deepemotion-launch work` and `ray-node`: the commands that run inside a SLURM job."""

import os
from pathlib import Path
from typing import Annotated

import typer


def work(
    run: Annotated[Path, typer.Argument(help="Folder of the run: runs/NAME.")],
    submission: Annotated[
        int | None, typer.Option(help="Train the trials of this submission; by default, of the whole plan.")
    ] = None,
    first_task: Annotated[
        int, typer.Option(help="Number of the submission's task that index 0 of the array runs.")
    ] = 0,
) -> None:
    """Train this SLURM job's share of a run: all of it, or every n-th trial in an array. Used by slurm/*.sbatch."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run.absolute())
    # Python and Ray search the working directory first, so a checkout there would be imported instead of a snapshot.
    os.chdir(directory.path)
    from launcher.slurm import job

    raise typer.Exit(job.run(directory, submission, first_task))


def ray_node(
    head: Annotated[str, typer.Argument(help="Address of the session's Ray: IP:port.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the sockets and logs of Ray.")],
) -> None:
    """Add this node to the Ray of its SLURM job."""
    from launcher.slurm.ray_node import serve

    raise typer.Exit(serve(head, folder))
