"""A run's trials as a pandas table, one row per trial, and the writing of all tables."""

from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from deepemotion.scoring import audit
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.replacements import leaves_a_gap, replaced
from launcher.run.states import State
from launcher.run.trial_files import read_epochs, read_failure, read_result
from launcher.tables import stored
from launcher.tables.epochs import epochs_table
from launcher.tables.freshness import content_digest
from launcher.tables.predictions import write_predictions
from launcher.tables.selection import Trials


@dataclass
class Known:
    """What is known of a run, so that it is not read again: its plan, how many epochs trials have, rows of done ones.

    `trials_table` adds to the rows.
    """

    plan: list[PlannedTrial] = field(default_factory=list)
    epochs: dict[str, int] = field(default_factory=dict)
    done: dict[str, dict[str, Any]] = field(default_factory=dict)


def trials_table(run: RunDirectory, known: Known | None = None) -> pd.DataFrame:
    """Return one row per planned trial, in the order of training set and learning rate; accuracies in [0, 1].

    Columns: trial, training_set, protocol, fold, permutation (0: true labels), learning_rate, seed, condition,
    state (the words of `states.State` without SLURM's), epochs (finished ones), accuracy_train,
    accuracy_validation, label_only_accuracy, majority_accuracy, chance, duration_s, reason (of a failure),
    beats_labels, missing (which classes have no volume on which side), setup (equal for trials that differ in
    subjects, fold, permutation and seed only; a condition names what is swept, and a later launch into the run may
    have changed other settings), control (its name, empty for the brain), basis (equal for trials with the same
    volumes, labels and split, by which controls are compared with the brain), outer (the outer fold that this inner
    trial helps to choose settings for, none for other trials), chosen (what inner trials chose for this one), curve
    (runs or subjects, of which this trial of a learning curve trains on a part, empty for other trials), draw and order
    (which order of these, and its items: the first ones are trained on), train_subjects and train_runs (how many are
    trained on; runs: none where no learning curve says so), subjects (which), replaced (whether a later launch planned
    another trial in its place), then counts of volumes, further metrics,
    those on unseen subjects, and accuracy_SPLIT_EMOTION.

    What is `known` is not read. Raises UserError where a file is damaged that is.
    """
    known = Known(run.read_plan()) if known is None else known
    running = run.running()
    plan = known.plan
    planned, dead = {trial.name: trial for trial in plan}, replaced(run, plan)
    rows = []
    for trial in plan:
        row, by = known.done.get(trial.name), planned.get(dead.get(trial.name, ""))
        # A later launch may have replaced it since.
        if row is None or row["replaced"] != (by is not None):
            row = _row(run, trial, running, by, known.epochs.get(trial.name))
            if row["state"] == State.DONE:
                known.done[trial.name] = row
        rows.append(row)
    table = pd.DataFrame(rows)
    for column in ("accuracy_train", "accuracy_validation", *audit.COLUMNS, "duration_s"):
        if column not in table:
            table[column] = float("nan")
    audits = table[list(audit.COLUMNS)].to_numpy()
    table["beats_labels"] = [audit.beats(*pair) for pair in zip(table["accuracy_validation"], audits, strict=True)]
    first = [
        *("trial", "training_set", "protocol", "fold", "permutation", "learning_rate", "seed", "condition", "state"),
        "epochs",
        *("accuracy_train", "accuracy_validation", *audit.COLUMNS, "duration_s", "reason", "beats_labels"),
        *("missing", "setup", "control", "basis", "outer", "chosen"),
        *("curve", "draw", "order", "train_subjects", "train_runs", "subjects", "replaced"),
    ]
    rest = sorted(set(table.columns) - set(first))
    table = table[[*first, *rest]].astype(dict.fromkeys(("fold", "outer", "draw", "train_runs"), "Int64"))
    by_place = ["training_set", "condition", "outer", "fold", "seed", "permutation"]
    # Of models in one place the last that was planned stays last, whatever part of the data it has.
    sizes = {column: table[column].where(table["curve"] != "") for column in ("train_subjects", "train_runs")}
    order = table.assign(**sizes).sort_values([*by_place, "curve", "draw", *sizes]).index
    return table.loc[order].reset_index(drop=True)


def _row(
    run: RunDirectory, trial: PlannedTrial, running: set[str], by: PlannedTrial | None, epochs: int | None
) -> dict[str, Any]:
    """Return a trial's row.

    `by` replaced it, None if it counts; `epochs` is how many it has finished, None where that is to be read.
    """
    directory = run.trial(trial.name)
    state = State(run.state(trial.name, running))
    row: dict[str, Any] = {
        "trial": trial.name,
        "training_set": trial.training_set,
        "protocol": trial.protocol,
        "fold": trial.fold,
        "permutation": trial.permutation,
        "learning_rate": trial.learning_rate,
        "seed": trial.seed,
        "condition": trial.condition,
        "epochs": 0,
        "reason": "",
        "missing": "",
        "setup": trial.setup,
        "control": trial.control,
        "basis": trial.basis,
        "outer": trial.outer,
        "chosen": trial.chosen,
        **_of_curve(trial),
    }
    if state is State.DONE:
        result = read_result(directory, trial)
        row |= {key: value for key, value in result.items() if isinstance(value, int | float)}
        row["missing"] = result.get("missing", "")
    else:
        row["epochs"] = len(read_epochs(directory, trial, done=False)) if epochs is None else epochs
    if state is State.PENDING:
        state = State.STOPPED if row["epochs"] else State.PLANNED
    # One that is done stays so where `Trials.latest` leaves it out, since it has a successor in its place.
    if by is not None and state is not State.RUNNING and (state is not State.DONE or leaves_a_gap(trial, by)):
        state = State.REPLACED
    if state is State.FAILED:
        row["reason"] = (read_failure(directory) or {}).get("reason", "")
    return {**row, "state": str(state), "replaced": by is not None}


def _of_curve(trial: PlannedTrial) -> dict[str, Any]:
    point, runs = trial.point, trial.trial.split.training_runs
    return {
        "curve": "" if point is None else point.over,
        "draw": None if point is None else point.draw,
        "order": "" if point is None else " ".join(point.order),
        "train_subjects": len(trial.trial.subjects),
        "train_runs": None if runs is None else len(runs),
        "subjects": " ".join(trial.trial.subjects),
    }


def write_tables(run: RunDirectory) -> Trials:
    """Write tables/predictions.parquet, epochs.parquet and trials.{csv,parquet}; return the trials.

    Raises UserError where a file of a trial is damaged.
    """
    # Before the trials' files are read: a result that comes in between makes the tables outdated.
    made_from = content_digest(run)
    trials = trials_table(run)
    # Of inner trials nothing but their validation accuracy is used.
    done = Trials(trials).done.testing.table
    part = (done["permutation"] > 0) | (done["curve"] != "")
    write_predictions(run, dict(zip(done["trial"], part, strict=True)))
    stored.write_frame(run.tables / "epochs.parquet", epochs_table(run))
    stored.write(run.tables / "trials.csv", lambda file: trials.to_csv(file, index=False))
    # It comes last: where it was made from what there is now, everything was.
    stored.write_frame(run.tables / "trials.parquet", trials, made_from)
    return Trials(trials)
