"""Which trials of a run's plan no longer count, because a later launch planned others in their place. Pure."""

from collections.abc import Sequence

from launcher.planning.plan import PlannedTrial


def replaced(plan: Sequence[PlannedTrial]) -> dict[str, str]:
    """Return the trials of a run's plan that a later launch replaced, and by which trial each.

    They had other labels or volumes, or, of trials of several subjects, another pool of subjects: models from different
    pools have no common mean. Nor do parts of a learning curve count whose model was replaced.
    """
    # Inner trials are no models that have a mean, and read the subjects of their own training set only.
    models = {
        trial.name: (
            *(trial.condition, trial.setup, trial.protocol),
            *(() if trial.outer is None else (trial.training_set, trial.outer)),
        )
        for trial in plan
    }
    places = {
        trial.name: (
            *_place(trial, models[trial.name]),
            *(() if trial.point is None else (trial.point.over, trial.point.size, trial.point.draw)),
        )
        for trial in plan
    }
    last = {place: name for name, place in places.items()}
    dead = {name: last[place] for name, place in places.items() if last[place] != name}
    # The parts of a learning curve are planned after the model that they are parts of.
    number = {trial.name: i for i, trial in enumerate(plan)}
    for trial in plan:
        model = last.get(_place(trial, models[trial.name]))
        if trial.point is not None and model is not None and number[model] > number[trial.name]:
            dead.setdefault(trial.name, model)
    newest = {models[trial.name]: trial for trial in plan if len(trial.pool) > 1}
    for trial in plan:
        latest = newest.get(models[trial.name])
        if latest is not None and len(trial.pool) > 1 and set(trial.pool) != set(latest.pool):
            dead.setdefault(trial.name, latest.name)
    return dead


def _place(trial: PlannedTrial, model: tuple[object, ...]) -> tuple[object, ...]:
    return (*model, trial.training_set, trial.fold, trial.seed, trial.permutation)
