"""`deepemotion pack`: packs NIfTI runs into one chunked HDF5 file per subject."""

import os
from pathlib import Path
from typing import Annotated

import typer

from deepemotion.errors import UserError
from deepemotion.subject_file.options import Compression, NanRule


def pack(
    dataset: Annotated[Path, typer.Argument(help="Root folder of the dataset.")],
    out: Annotated[Path, typer.Option(help="Folder for the packed files.")],
    description: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Description of the dataset: studyforrest, or a path; by default dataset.yaml in its root.",
        ),
    ] = None,
    subjects: Annotated[str | None, typer.Option(help="Pack only these subjects: 1,2,5-9.")] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Subjects to pack at a time; the CPUs left over pack further runs of each.", show_default="all CPUs"
        ),
    ] = None,
    nan: Annotated[
        NanRule, typer.Option(help="What to do with NaN or infinite voxels inside the mask.")
    ] = NanRule.FAIL,
    compression: Annotated[Compression, typer.Option(help="How to compress the volumes.")] = Compression.NONE,
) -> None:
    """Pack subjects. Those that are up to date are skipped, and only runs that changed are read again."""
    if jobs is not None and jobs < 1:
        raise UserError(f"--jobs {jobs}: give at least 1")
    from deepemotion.dataset.description import Dataset
    from deepemotion.packing.subject import PackRequest
    from deepemotion.packing.workers import pack_all
    from deepemotion.settings.subjects import parse_subjects
    from deepemotion.subject_file import kernels

    described = Dataset.of_folder(dataset, description)
    chosen = described.select_subjects(parse_subjects(subjects, described.subjects) if subjects is not None else None)
    # If it cannot be loaded, this is reported once here instead of for each subject.
    kernels.library()
    cpus = len(os.sched_getaffinity(0))
    jobs = min(jobs or cpus, len(chosen))
    threads = max(1, cpus // jobs)
    requests = [PackRequest(described, dataset, subject, out, nan, compression, threads) for subject in chosen]
    failed = pack_all(requests, jobs)
    if failed:
        raise UserError(f"{len(failed)} of {len(chosen)} subjects not packed: {', '.join(f'sub-{s}' for s in failed)}")
