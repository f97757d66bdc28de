"""`deepemotion-launch --all-subjects ...`: plan an experiment and run it."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepemotion.console import answer
from deepemotion.errors import UserError

if TYPE_CHECKING:
    from launcher.plan import PlannedTrial
    from launcher.run_directory import RunDirectory


class Backend(StrEnum):
    """Where trials run."""

    local = "local"


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
    held_out_folds: Annotated[
        bool, typer.Option("--held-out-folds", help="The paper's four folds of unseen subjects.")
    ] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", help="section.key=value, e.g. train.epochs=10.")] = None,
    on: Annotated[Backend, typer.Option(help="Where to run.")] = Backend.local,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and run nothing.")] = False,
) -> None:
    """Train the single-subject models, the pooled one, folds and sweeps; the same command again goes on."""
    if context.invoked_subcommand is not None:
        return
    if all_subjects == (subjects is not None):
        raise UserError("say --all-subjects, or which with --subjects 1,2,5-9")
    from deepemotion import shipped
    from launcher import data_facts, experiment, plan
    from launcher.launch import Launch
    from launcher.launch import launch as run_launch
    from launcher.run_directory import RunDirectory

    path = shipped.find(config)
    changes: dict[str, Any] = {"subjects": "all"} if all_subjects else experiment.parse_plan_subjects(subjects)
    changes |= {} if pooled is None else {"pooled": pooled}
    changes |= {"held_out_folds": True} if held_out_folds else {}
    sweeps = dict(experiment.parse_sweep(text) for text in sweep or [])
    if lr is not None:
        sweeps["train.learning_rate"] = experiment.parse_learning_rates(lr)
    wanted = experiment.read(path, set_ or [], changes, sweeps)
    facts, _ = data_facts.read(data, labels)
    trials = plan.make_plan(wanted, facts)
    run = RunDirectory(runs / (name or path.stem))
    if dry_run:
        answer(_table(trials, run))
        return
    raise typer.Exit(run_launch(Launch(run, wanted, facts, trials, data, labels)))


def _table(trials: list["PlannedTrial"], run: "RunDirectory") -> str:
    held = run.is_held()
    rows = [("trial", "training set", "fold", "learning rate", "epochs", "memory", "state")]
    for trial in trials:
        fold = "" if trial.fold is None else str(trial.fold)
        epochs = str(trial.settings["train"]["epochs"])
        memory = f"{trial.memory_bytes / 2**30:.1f} GiB"
        state = run.state(trial.name, held)
        rows.append((trial.name, trial.training_set, fold, f"{trial.learning_rate:g}", epochs, memory, state))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, f"{len(trials)} trials"])
