"""`deepemotion-launch pack DATASET --on slurm-array`: one array task per subject."""

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import answer, say
from deepemotion.errors import UserError


class PackBackend(StrEnum):
    """Where packing runs; on one machine, `deepemotion pack` does it."""

    slurm_array = "slurm-array"


def pack(
    dataset: Annotated[Path, typer.Argument(help="Root folder of the dataset.")],
    out: Annotated[Path, typer.Option(help="Folder for the packed files.")],
    cluster: Annotated[
        str | None, typer.Option(help="Cluster profile: a path, or the name of a built-in one (example).")
    ] = None,
    on: Annotated[PackBackend, typer.Option(help="Where to run.")] = PackBackend.slurm_array,
    description: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            help="Dataset description: studyforrest or a path; by default, dataset.yaml in the dataset's folder.",
        ),
    ] = None,
    subjects: Annotated[str | None, typer.Option(help="Pack only these subjects: 1,2,5-9.")] = None,
    max_parallel: Annotated[int | None, typer.Option(help="Limit of tasks that run at a time.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the job scripts without submitting them.")] = False,
) -> None:
    """Pack subjects in a job array; print the jobs' ids, for `--after` of a launch."""
    from deepemotion.dataset.description import Dataset
    from deepemotion.settings.subjects import parse_subjects
    from launcher.slurm import cluster_profile, pack_array

    profile = cluster_profile.required(on.value, cluster)
    described = Dataset.of_folder(dataset, description)
    selected = described.select_subjects(parse_subjects(subjects, described.subjects) if subjects is not None else None)
    words = ["deepemotion", "pack", str(dataset.resolve()), "--out", str(out.resolve())]
    if description is not None:
        words += ["--dataset", str(Path(description).resolve()) if Path(description).is_file() else description]
    scripts = pack_array.scripts(shlex.join(words), selected, profile, out.resolve() / "slurm", max_parallel, dry_run)
    if dry_run:
        answer("\n\n".join(script.text() for script in scripts))
        return
    jobs: list[str] = []
    for script in scripts:
        try:
            jobs.append(script.submit())
        except UserError as error:
            submitted = f"; {', '.join(jobs)} are submitted, with the first subjects" if jobs else ""
            raise UserError(f"{error}{submitted}") from error
    say(f"{len(selected)} subjects to pack; logs in {out}/slurm/")
    answer(",".join(jobs))
