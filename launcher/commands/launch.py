"""`deepemotion-launch --all-subjects ...`: plan an experiment and run it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from deepemotion.console import answer
from deepemotion.errors import UserError
from launcher.launching.backend import BACKENDS, Options, make
from launcher.planning.protocols import Protocol

# Typer takes the words of an option from an Enum.
On = StrEnum("On", {name: name for name in BACKENDS})  # type: ignore[misc]


def launch(
    context: typer.Context,
    all_subjects: Annotated[
        bool, typer.Option("--all-subjects", help="One model a subject, and the pooled one.")
    ] = False,
    subjects: Annotated[str | None, typer.Option(help="Only these subjects: 1,2,5-9.")] = None,
    config: Annotated[
        str, typer.Option(help="A configuration that ships (paper, rigorous, demo) or a path.")
    ] = "paper",
    data: Annotated[Path, typer.Option(help="Folder of packed subject files.")] = Path("packed"),
    labels: Annotated[Path, typer.Option(help="labels.tsv, as `deepemotion label` writes it.")] = Path("labels.tsv"),
    runs: Annotated[Path, typer.Option(help="Folder of all runs.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="The run's name; the configuration's by default.")] = None,
    lr: Annotated[str | None, typer.Option(help="Learning rates: 1e-4,3e-4,1e-3.")] = None,
    sweep: Annotated[list[str] | None, typer.Option(help="section.key=a,b,c: train with each value.")] = None,
    pooled: Annotated[
        bool | None, typer.Option("--pooled/--no-pooled", help="Whether to train the pooled model.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Models to compare: cnn3d,linear.")] = None,
    protocol: Annotated[
        Protocol | None, typer.Option(help="What is held out; subject leaves one subject out at a time.")
    ] = None,
    permutations: Annotated[
        int | None,
        typer.Option(min=0, max=100_000, help="Trainings on permuted labels for each trial, for its permutation test."),
    ] = None,
    held_out_folds: Annotated[
        bool, typer.Option("--held-out-folds", help="The paper's four folds of unseen subjects.")
    ] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, e.g. train.epochs=10.")] = None,
    on: Annotated[On, typer.Option(help="Where to run.")] = On("local"),
    cluster: Annotated[
        str | None, typer.Option(help="SLURM: a cluster profile that ships (example) or a path.")
    ] = None,
    trials_per_task: Annotated[int, typer.Option(help="slurm-array: trials that an array task trains.")] = 1,
    max_parallel: Annotated[int | None, typer.Option(help="slurm-array: tasks that run at a time.")] = None,
    after: Annotated[str | None, typer.Option(help="SLURM: wait for these jobs to end well: 12,13.")] = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="SLURM: the jobs run a copy of the code.")] = False,
    follow: Annotated[
        bool | None, typer.Option("--follow/--detach", help="SLURM: stay and watch (default on a terminal), or return.")
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Write the run's folder for slurm/*.sbatch, and run nothing.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and run nothing.")] = False,
) -> None:
    """Train the single-subject models, the pooled one, folds and sweeps; the same command again goes on."""
    if context.invoked_subcommand is not None:
        return
    if all_subjects == (subjects is not None):
        raise UserError("say --all-subjects, or which with --subjects 1,2,5-9")
    if name is not None and (Path(name).name != name or name.startswith(".")):
        raise UserError(f"--name {name}: a run is a folder of --runs; give a name without / that begins with no dot")
    watched = sys.stderr.isatty() if follow is None else follow
    backend = make(on, Options(cluster, after, trials_per_task, max_parallel, snapshot, watched, dry_run))
    from deepemotion import config_files
    from launcher.run.directory import RunDirectory

    path = config_files.find(config)
    run = RunDirectory(runs / (name or path.stem))
    if after is not None and not dry_run:
        from launcher.slurm import launch_after

        # What is planned depends on data that the other jobs are still to write.
        raise typer.Exit(launch_after.submit(run, after, str(cluster)))
    from deepemotion.subject_file.folder import find_subjects
    from launcher.launching.launch import Launch, plan_run
    from launcher.planning import experiment, options

    changes: dict[str, Any] = {"subjects": "all"}
    if not all_subjects:
        changes = options.parse_plan_subjects(subjects, find_subjects(data))
    changes |= {} if pooled is None else {"pooled": pooled}
    changes |= {"held_out_folds": True} if held_out_folds else {}
    changes |= {} if permutations is None else {"permutations": permutations}
    overrides = set_ or []
    if protocol is not None:
        changes |= options.plan_of_protocol(protocol, held_out_folds)
        overrides = [*overrides, f"split.protocol={protocol.movie_split}"]
    sweeps = options.parse_sweeps(sweep or [], model, lr)
    job = Launch.of(run, experiment.read(path, overrides, changes, sweeps), data, labels)
    if plan_only and not dry_run:
        plan_run(job)
        return
    backend.check(job)
    if dry_run:
        answer(backend.preview(job))
    else:
        raise typer.Exit(backend.run(job))
