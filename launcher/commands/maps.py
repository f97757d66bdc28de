"""`deepemotion-launch maps RUN`: which clusters of a saliency map are larger than chance, and where they are."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer


class Method(StrEnum):
    """The values of `--method`."""

    integrated_gradients = "integrated-gradients"
    grad_cam = "grad-cam"


class Correction(StrEnum):
    """The values of `--correction`."""

    fwe = "fwe"
    fdr = "fdr"


def maps(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME, launched with --permutations.")],
    condition: Annotated[
        str | None, typer.Option(help="The condition to map, for instance lr-0.001, where the run has several.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Map one model: group (all single-subject models), pooled, sub-05, ...; by default group and pooled."
        ),
    ] = None,
    method: Annotated[Method, typer.Option(help="How maps are made.")] = Method.integrated_gradients,
    steps: Annotated[int, typer.Option(min=1, max=100_000, help="Number of steps of integrated gradients.")] = 32,
    volumes: Annotated[
        int | None,
        typer.Option(min=1, help="The largest number of validation volumes to average per emotion and trial."),
    ] = None,
    atlas: Annotated[
        Path | None, typer.Option(help="NIfTI label image on the data's grid, to name the regions of clusters.")
    ] = None,
    atlas_labels: Annotated[
        Path | None, typer.Option(help="Names of the atlas's regions: a table with index and name, or numbered lines.")
    ] = None,
    voxel_p: Annotated[float, typer.Option(help="The largest p of a voxel that is part of a cluster.")] = 0.001,
    cluster_p: Annotated[float, typer.Option(help="The largest corrected p of a significant cluster.")] = 0.05,
    correction: Annotated[
        Correction, typer.Option(help="Correct over clusters by the family-wise error or the false discovery rate.")
    ] = Correction.fwe,
    draws: Annotated[int, typer.Option(min=1, max=1_000_000, help="Number of group maps that are drawn.")] = 10_000,
) -> None:
    """Test saliency maps against those of permuted trainings, and write corrected maps, clusters and their peaks.

    Maps of trials are stored in RUN/maps, where a command that was stopped resumes. Prints the paths of the tables.
    """
    from deepemotion.errors import UserError
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    for name, p in (("--voxel-p", voxel_p), ("--cluster-p", cluster_p)):
        if not 1e-6 <= p < 1:
            raise UserError(f"{name} {p:g}: not between 0.000001 and 1")
    if atlas_labels is not None and atlas is None:
        raise UserError("--atlas-labels: give --atlas as well")
    from deepemotion.scoring.cluster_test import ClusterTest
    from deepemotion.trained.stored_maps import MapSettings
    from launcher.evidence.saliency_maps import MapsOptions, write_saliency_maps

    settings = MapSettings(method.value, steps, volumes)
    test = ClusterTest(voxel_p, cluster_p, correction.value, draws)
    for folder in write_saliency_maps(directory, MapsOptions(settings, test, condition, model, atlas, atlas_labels)):
        answer(str(folder / "clusters.csv"))
