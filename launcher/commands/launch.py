"""`deepemotion-launch --all-subjects ...`: plans an experiment and runs it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from deepemotion.console import AsJson, answer, answer_json
from deepemotion.errors import UserError
from launcher.launching.backend import BACKENDS, Options, make
from launcher.planning.protocols import Protocol

# Typer takes the choices of an option from an Enum.
On = StrEnum("On", {name: name for name in BACKENDS})  # type: ignore[misc]


class Select(StrEnum):
    """The values of `--select`."""

    best = "best"
    nested = "nested"


def launch(
    context: typer.Context,
    all_subjects: Annotated[
        bool, typer.Option("--all-subjects", help="Train one model per subject, and the pooled one.")
    ] = False,
    subjects: Annotated[str | None, typer.Option(help="Train only on these subjects: 1,2,5-9.")] = None,
    config: Annotated[
        str, typer.Option(help="Built-in configuration (paper, rigorous or demo) or path of a YAML file.")
    ] = "paper",
    data: Annotated[Path, typer.Option(help="Folder of the packed subject files.")] = Path("packed"),
    labels: Annotated[Path, typer.Option(help="Label file that `deepemotion label` has written.")] = Path("labels.tsv"),
    runs: Annotated[Path, typer.Option(help="Folder in which the run's folder is created.")] = Path("runs"),
    name: Annotated[str | None, typer.Option(help="Name of the run; by default, that of the configuration.")] = None,
    lr: Annotated[str | None, typer.Option(help="Train with each of these learning rates: 1e-4,3e-4,1e-3.")] = None,
    sweep: Annotated[
        list[str] | None, typer.Option(help="Train with each of these values of a setting: section.key=a,b,c.")
    ] = None,
    pooled: Annotated[
        bool | None, typer.Option("--pooled/--no-pooled", help="Whether to train the pooled model.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Train each of these models: cnn3d,linear.")] = None,
    compare: Annotated[
        list[str] | None,
        typer.Option(help="Test the difference between two models, swept values or conditions: cnn3d,linear."),
    ] = None,
    protocol: Annotated[
        Protocol | None, typer.Option(help="Choose what validates; `subject` leaves out one subject at a time.")
    ] = None,
    permutations: Annotated[
        int | None,
        typer.Option(
            min=0, max=100_000, help="Number of trainings on permuted labels per trial, for permutation tests."
        ),
    ] = None,
    controls: Annotated[
        str | None,
        typer.Option(help="Also train these controls without a brain: time,motion; all that are packed; or none."),
    ] = None,
    learning_curve: Annotated[
        bool | None,
        typer.Option(
            "--learning-curve/--no-learning-curve", help="Also train on 1, 2, 4, ... of the runs and of the subjects."
        ),
    ] = None,
    held_out_folds: Annotated[
        bool, typer.Option("--held-out-folds", help="Also train the paper's four folds of unseen subjects.")
    ] = False,
    select: Annotated[
        Select | None,
        typer.Option(help="Choose swept settings by validation (best), or by inner folds before the test (nested)."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting: section.key=value, for instance train.epochs=10."),
    ] = None,
    on: Annotated[On, typer.Option(help="Where the trials run.")] = On("local"),
    cluster: Annotated[
        str | None, typer.Option(help="SLURM: name of a built-in cluster profile (example) or path of your own.")
    ] = None,
    trials_per_task: Annotated[int, typer.Option(help="slurm-array: number of trials per array task.")] = 1,
    max_parallel: Annotated[
        int | None, typer.Option(help="slurm-array: maximum number of tasks that run at the same time.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="SLURM: launch after these jobs have ended successfully: 12,13.")
    ] = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="SLURM: run the jobs with a copy of the code.")] = False,
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--detach",
            help="SLURM: show progress until the jobs end (default on a terminal), or return at once.",
        ),
    ] = None,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="Write the run's folder, for slurm/*.sbatch, without running anything.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, without running anything.")] = False,
    as_json: AsJson = False,
) -> None:
    """Train the single-subject models, the pooled one, folds and sweeps. The same command again resumes."""
    if context.invoked_subcommand is not None:
        return
    if all_subjects == (subjects is not None):
        raise UserError("give --all-subjects, or choose subjects with --subjects 1,2,5-9")
    if as_json and not (dry_run or plan_only):
        raise UserError("--json: a launch prints a plan only with --dry-run or --plan-only")
    if name is not None and (Path(name).name != name or not name.isprintable() or name[:1] in ("", ".")):
        raise UserError(
            f"--name {name}: the name becomes a folder in --runs, so it must be of one line, without / and a dot first"
        )
    backend = make(on, Options(cluster, after, trials_per_task, max_parallel, snapshot, follow, dry_run))
    from deepemotion import config_files
    from launcher.run import permissions
    from launcher.run.directory import RunDirectory

    path = config_files.find(config)
    run = RunDirectory(runs / (name or path.stem))
    permissions.restrict(run.path)
    if after is not None and not dry_run:
        from launcher.slurm import launch_after

        # The plan depends on data that the other jobs have yet to write.
        raise typer.Exit(launch_after.submit(run, after, str(cluster)))
    from deepemotion.subject_file.folder import find_subjects
    from launcher.launching.launch import Launch, plan_content, plan_run
    from launcher.planning import experiment, options

    changes: dict[str, Any] = {"subjects": "all"}
    if not all_subjects:
        changes = options.parse_plan_subjects(subjects, find_subjects(data))
    changes |= {} if protocol is None else options.plan_of_protocol(protocol, held_out_folds)
    changes |= {} if pooled is None else {"pooled": pooled}
    changes |= {"held_out_folds": True} if held_out_folds else {}
    changes |= options.parse_comparisons(compare or [])
    changes |= {} if permutations is None else {"permutations": permutations}
    changes |= {} if learning_curve is None else {"learning_curve": learning_curve}
    changes |= {} if select is None else {"select": select.value}
    overrides = options.with_protocol(set_ or [], protocol)
    sweeps = options.parse_sweeps(sweep or [], model, lr)
    wanted = experiment.read(path, overrides, changes, sweeps, options.parse_controls(controls))
    job = Launch.of(run, wanted, data, labels)
    if plan_only and not dry_run:
        plan_run(job)
    else:
        backend.check(job)
    if as_json:
        answer_json(plan_content(job))
    elif dry_run:
        answer(backend.preview(job))
    elif not plan_only:
        raise typer.Exit(backend.run(job))
