"""`deepemotion simulate`: a StudyForrest-shaped dataset with known truth."""

import os
from pathlib import Path
from typing import Annotated

import typer

from deepemotion.errors import UserError


def simulate(
    out: Annotated[Path, typer.Argument(help="Folder to write; it is created if needed.")],
    subjects: Annotated[int, typer.Option(help="Number of subjects.")] = 19,
    shape: Annotated[str, typer.Option(help="Voxels along x, y and z; the real data have 132,175,48.")] = "33,44,12",
    volumes_per_run: Annotated[
        str,
        typer.Option(help="Volumes of each of the 8 runs, or 8 numbers; the real 451,441,438,488,462,439,542,338."),
    ] = "60",
    signal: Annotated[float, typer.Option(help="Percent signal change of an active region; 0 for none.")] = 1.0,
    idiosyncrasy: Annotated[
        float, typer.Option(help="How far subjects differ in where they respond: 0 (not at all) to 1.")
    ] = 0.5,
    loudness: Annotated[
        float, typer.Option(help="How far apart emotions are in the film's loudness, in SDs; 0: not at all.")
    ] = 0.0,
    motion: Annotated[
        float, typer.Option(help="How far apart emotions are in the head's position, in SDs; 0: not at all.")
    ] = 0.0,
    phantom: Annotated[bool, typer.Option("--phantom", help="Add scans of a phantom: drift and noise.")] = False,
    seed: Annotated[int, typer.Option(help="Random seed; the same seed gives the same dataset.")] = 0,
    jobs: Annotated[int | None, typer.Option(help="Number of processes to use.", show_default="all CPUs")] = None,
) -> None:
    """Simulate a dataset like StudyForrest's, with known emotions and networks."""
    from deepemotion.simulation.folder import simulate as simulate_folder
    from deepemotion.simulation.parameters import Parameters

    volumes = _numbers("volumes-per-run", volumes_per_run)
    parameters = Parameters(
        subjects=subjects,
        shape=_numbers("shape", shape),
        volumes_per_run=volumes[0] if len(volumes) == 1 else volumes,
        signal=signal,
        idiosyncrasy=idiosyncrasy,
        seed=seed,
        loudness=loudness,
        motion=motion,
        phantom=phantom,
    )
    simulate_folder(out, parameters, jobs=jobs if jobs is not None else len(os.sched_getaffinity(0)))


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UserError(f"{option}: {text!r} is not whole numbers separated by commas") from None
