"""Checks a whole run: plan, trials, data, tables and records."""

from dataclasses import dataclass

from launcher.checking.data import check_data
from launcher.checking.problems import Problems
from launcher.checking.tables import check_tables
from launcher.checking.trials import check_plan, check_trial
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.replacements import replaced


@dataclass(frozen=True)
class Verification:
    """What was checked, and what is wrong: one sentence for each problem, and for each thing that was not checked."""

    trials: int
    done: int
    rows: int
    problems: list[str]
    notes: list[str]


def verify(run: RunDirectory, volumes: bool = False) -> Verification:
    """Check that every row of every table traces to a trial, and every trial to its settings, data and code.

    Data are compared by their checksums, and with `volumes` each volume of the packed subjects with its own. Writes
    nothing.
    """
    found = Problems()
    plan: list[PlannedTrial] = []
    with found.collecting():
        plan = run.read_plan()
    if not plan:
        return Verification(0, 0, 0, found.problems or [f"{run.plan_file}: no trial is planned"], found.notes)
    launches = []
    with found.collecting():
        launches = run.read_provenance()
    with found.collecting():
        run.experiment_text()
    check_plan(run, plan, found)
    trained = {trial.name: check_trial(run, trial, launches, found) for trial in plan}
    dead = replaced(run, plan)
    check_data(run, {name: parts for name, parts in trained.items() if name not in dead}, plan, volumes, found)
    done = sum(run.trial(trial.name).result.exists() for trial in plan)
    rows = 0
    damaged = len(found.problems)
    tables = Problems()
    with tables.collecting():
        rows = check_tables(run, tables)
    # What keeps tables from being made anew was named with its trial.
    found.problems += [problem for problem in tables.problems if problem not in found.problems[:damaged]]
    return Verification(len(plan), done, rows, found.problems, found.notes)
