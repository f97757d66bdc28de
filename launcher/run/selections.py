"""The nested selections of a run: what was asked for, which refits are still to come, and which can be planned now.

A launch records its experiment and the facts of its data in `selections.json`. Whoever has trained inner trials plans
from it what follows them, without reading the data again.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydantic

from deepemotion.files import read_json, readable, write_text
from deepemotion.training import integrity
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.nested import InnerResult, choose, selection_of
from launcher.planning.plan import PlannedTrial
from launcher.planning.refits import Place, Refit, planned, refits
from launcher.planning.replaced import replaced
from launcher.run.directory import RunDirectory
from launcher.run.states import State
from launcher.run.trial_files import VALIDATION, read_epochs, read_result

_REMEDY = "delete it and launch again"


@dataclass(frozen=True)
class Procedure:
    """An experiment that asks for a nested selection, and the data that it was planned for."""

    experiment: Experiment
    data: DataFacts

    @cached_property
    def refits(self) -> list[Refit]:
        """All its refits."""
        return refits(self.experiment, self.data)

    @cached_property
    def setup(self) -> str:
        """The `setup` of its refits."""
        return selection_of(self.experiment).procedure


@dataclass(frozen=True)
class Progress:
    """A refit of a procedure, how many of its inner trials are not done, and the first that failed, "" if none has.

    `trial` is the refit in the plan, None where it is not planned yet.
    """

    procedure: Procedure
    refit: Refit
    waiting: int
    failed: str
    trial: PlannedTrial | None

    @property
    def due(self) -> bool:
        """Say whether it can be planned now, and is not yet."""
        return self.trial is None and not self.waiting


_PROCEDURES = pydantic.TypeAdapter(list[Procedure])


def record(run: RunDirectory, experiment: Experiment, data: DataFacts) -> None:
    """Record what an experiment asks for, where it asks for a nested selection; the plan must be held."""
    new = Procedure(experiment, data)
    if experiment.plan.select != "nested" or new in (known := read(run)):
        return
    content: dict[str, Any] = {"procedures": _PROCEDURES.dump_python([*known, new], mode="json")}
    content[integrity.CHECKSUM] = integrity.checksum(content)
    write_text(_path(run), json.dumps(content) + "\n")


def read(run: RunDirectory) -> list[Procedure]:
    """Return what the launches into a run have asked for, none for most runs. Raises UserError for a damaged file."""
    content = read_json(_path(run), _REMEDY)
    if content is None:
        return []
    with readable(_path(run), _REMEDY):
        # Trials are planned from it, so it must be what a launch wrote.
        if content[integrity.CHECKSUM] != integrity.checksum(content):
            raise ValueError("its content does not match its checksum")
        return _PROCEDURES.validate_python(content["procedures"])


def progress(
    run: RunDirectory, procedures: Iterable[Procedure] | None = None, inner: Collection[str] | None = None
) -> Iterator[Progress]:
    """Yield how far the refits of these procedures are, of all by default; only those with any of the `inner` trials.

    Those whose inner trials a later launch has replaced are left out.
    """
    procedures = read(run) if procedures is None else list(procedures)
    if not procedures:
        return
    plan = run.read_plan()
    known, dead = {trial.name: trial for trial in plan}, replaced(plan)
    own = None if inner is None else {name for name in inner if name in known and known[name].outer is not None}
    only = None if own is None else {Place.of_inner(known[name]) for name in own}
    made = {(trial.setup, Place.of(trial), trial.data): trial for trial in plan if trial.selection is not None}
    seen: set[tuple[str, str]] = set()
    for procedure in procedures:
        of_procedure = procedure.refits if only is None else refits(procedure.experiment, procedure.data, only)
        for refit in of_procedure:
            names = refit.inner
            # A launch for more subjects or permutations asks for the refits of an earlier one again.
            if (procedure.setup, names[0]) in seen or (own is not None and own.isdisjoint(names)):
                continue
            if any(name not in known or name in dead for name in names):
                continue
            seen.add((procedure.setup, names[0]))
            states = {name: run.state(name, running=()) for name in names}
            failed = next((name for name, state in states.items() if state == State.FAILED), "")
            places = [(procedure.setup, refit.place, data) for data in refit.data]
            trial = next((made[place] for place in places if place in made), None)
            yield Progress(procedure, refit, sum(state != State.DONE for state in states.values()), failed, trial)


def due(
    run: RunDirectory, procedures: Iterable[Procedure] | None = None, inner: Collection[str] | None = None
) -> list[PlannedTrial]:
    """Return the refits of `progress` that can be planned and are not yet, with what their inner trials chose.

    The plan must be held until they are in it. Raises UserError where the file of an inner trial is damaged.
    """
    found = [one for one in progress(run, procedures, inner) if one.due]
    known = {trial.name: trial for trial in run.read_plan()} if found else {}
    return [_chosen(run, one, known) for one in found]


def plan_due(
    run: RunDirectory, inner: Collection[str], take: Callable[[list[PlannedTrial]], object] = lambda refits: None
) -> list[PlannedTrial]:
    """Plan the refits that these inner trials were the last ones of, and return them.

    Sessions that end at the same time plan one after the other, so each refit is returned to one of them. `take` is
    called with the refits before they are in the plan.
    """
    # Asked first without the lock, which the many tasks of an array would wait for in vain.
    if not any(one.due for one in progress(run, inner=inner)):
        return []
    with run.planning():
        refits = due(run, inner=inner)
        if refits:
            take(refits)
            run.add_to_plan(refits)
    return refits


def _chosen(run: RunDirectory, one: Progress, known: dict[str, PlannedTrial]) -> PlannedTrial:
    results = [[_result(run, known[name]) for name in candidate.inner] for candidate in one.refit.candidates]
    return planned(one.procedure.experiment, one.procedure.data, one.refit, *choose(results))


def _result(run: RunDirectory, trial: PlannedTrial) -> InnerResult:
    directory = run.trial(trial.name)
    result: dict[str, Any] = read_result(directory, trial)
    epochs = read_epochs(directory, trial, done=True)
    with readable(directory.result, _REMEDY):
        return InnerResult([epoch[VALIDATION] for epoch in epochs], int(result["n_validation"]))


def _path(run: RunDirectory) -> Path:
    return run.path / "selections.json"
