"""Which trials of a run no longer count, because of what later launches planned.

Most are replaced by a trial in their own place (`planning.replaced`). A refit of a nested selection is replaced
earlier: as soon as the inner trials that chose its settings are. Its successor is planned only when the new inner
trials are done, and until then the old one would be counted among refits for other labels or volumes.
"""

from collections.abc import Iterable, Mapping, Sequence

from launcher.planning import replaced as in_place
from launcher.planning.plan import PlannedTrial
from launcher.planning.refits import Place, refits
from launcher.run import selections
from launcher.run.directory import RunDirectory


def replaced(run: RunDirectory, trials: Sequence[PlannedTrial]) -> dict[str, str]:
    """Return the names of those among the run's planned `trials` that no longer count, and by which trial each.

    Raises UserError for a damaged record of nested selections.
    """
    dead = in_place.replaced(trials)
    return dead | {name: by for name, by in _outdated(run, trials, dead).items() if name not in dead}


def leaves_a_gap(trial: PlannedTrial, by: PlannedTrial) -> bool:
    """Return whether nothing is in the place of a trial that was replaced `by` another, so that it must be left out.

    It is then a refit, or a model that leaves subjects out and has a mean with others. Of trials in one place the last
    counts anyway.
    """
    in_place = Place.of(by) == Place.of(trial)
    return by.outer is not None or (bool(trial.trial.unseen_subjects) and not in_place)


def without_successor(run: RunDirectory, trials: Sequence[PlannedTrial]) -> list[str]:
    """Return the names of the refits that no longer count, and whose successors are not planned yet."""
    dead = in_place.replaced(trials)
    return [name for name in _outdated(run, trials, dead) if name not in dead]


def _outdated(run: RunDirectory, trials: Sequence[PlannedTrial], dead: Mapping[str, str]) -> dict[str, str]:
    """Return the refits whose inner trials were replaced, and for each of them a trial that replaced one of these."""
    changed = {Place.of_inner(trial): dead[trial.name] for trial in trials if trial.outer and trial.name in dead}
    suspects = [trial for trial in trials if trial.selection is not None and Place.of(trial) in changed]
    if not suspects:
        return {}
    known = {trial.name for trial in trials} - dead.keys()
    current = _current(run, known, {Place.of(trial) for trial in suspects})
    return {
        trial.name: changed[Place.of(trial)]
        for trial in suspects
        if (trial.setup, Place.of(trial), trial.data) not in current
    }


def _current(run: RunDirectory, known: set[str], places: Iterable[Place]) -> set[tuple[str, Place, str]]:
    """Return the procedure, place and data of each refit whose inner trials are all among those `known`."""
    return {
        (procedure.setup, refit.place, data)
        for procedure in selections.read(run)
        for refit in refits(procedure.experiment, procedure.data, places)
        if known.issuperset(refit.inner)
        for data in refit.data
    }
