"""A run's trials as a pandas table, one row per trial, and the writing of all tables."""

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


def trials_table(run: RunDirectory) -> pd.DataFrame:
    """Return one row per planned trial, in the order of training set and learning rate; accuracies in [0, 1].

    Columns: trial, training_set, protocol, fold, permutation (0: true labels), learning_rate, seed, condition,
    state (the words of `states.State` without SLURM's), epochs (finished ones), accuracy_train,
    accuracy_validation, label_only_accuracy, majority_accuracy, chance, duration_s, reason (of a failure),
    beats_labels, missing (which classes have no volume on which side), setup (equal for trials that differ in
    subjects, fold, permutation and seed only; a condition names what is swept, and a later launch into the run may
    have changed other settings), control (its name, empty for the brain), basis (equal for trials with the same
    volumes, labels and split, by which controls are compared with the brain), outer (the outer fold that this inner
    trial helps to choose settings for, none for other trials), chosen (what inner trials chose for this one), then
    counts of volumes, further metrics, those on unseen subjects, and accuracy_SPLIT_EMOTION.
    """
    running = run.running()
    plan = run.read_plan()
    known, dead = {trial.name: trial for trial in plan}, replaced(run, plan)
    rows = [_row(run, trial, running, known.get(dead.get(trial.name, ""))) for trial in plan]
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
    ]
    rest = sorted(set(table.columns) - set(first))
    table = table[[*first, *rest]].astype({"fold": "Int64", "outer": "Int64"})
    return table.sort_values(["training_set", "condition", "outer", "fold", "seed", "permutation"], ignore_index=True)


def _row(run: RunDirectory, trial: PlannedTrial, running: set[str], by: PlannedTrial | None) -> dict[str, Any]:
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
    }
    if state is State.DONE:
        result = read_result(directory, trial)
        row |= {key: value for key, value in result.items() if isinstance(value, int | float)}
        row["missing"] = result.get("missing", "")
    else:
        row["epochs"] = len(read_epochs(directory, trial, done=False))
    if state is State.PENDING:
        state = State.STOPPED if row["epochs"] else State.PLANNED
    # One that is done stays so where `Trials.latest` leaves it out, since it has a successor in its place.
    if by is not None and state is not State.RUNNING and (state is not State.DONE or leaves_a_gap(trial, by)):
        state = State.REPLACED
    if state is State.FAILED:
        row["reason"] = (read_failure(directory) or {}).get("reason", "")
    return {**row, "state": str(state)}


def write_tables(run: RunDirectory) -> Trials:
    """Write tables/predictions.parquet, epochs.parquet and trials.{csv,parquet}; return the trials.

    Raises UserError where a file of a trial is damaged.
    """
    # Before the trials' files are read: a result that comes in between makes the tables outdated.
    made_from = content_digest(run)
    trials = trials_table(run)
    # Of inner trials nothing but their validation accuracy is used.
    done = Trials(trials).done.testing.table
    write_predictions(run, dict(zip(done["trial"], done["permutation"] > 0, strict=True)))
    stored.write_frame(run.tables / "epochs.parquet", epochs_table(run))
    stored.write(run.tables / "trials.csv", lambda file: trials.to_csv(file, index=False))
    # It comes last: where it was made from what there is now, everything was.
    stored.write_frame(run.tables / "trials.parquet", trials, made_from)
    return Trials(trials)
