"""Which controls without a brain an experiment trains, and with which settings."""

from collections.abc import Iterable, Iterator
from typing import Any

from deepemotion.errors import UserError
from deepemotion.settings.control_training import control_settings
from deepemotion.settings.schema import CONTROLS, ControlName, TrialSettings
from launcher.planning.experiment import Experiment
from launcher.planning.facts import DataFacts
from launcher.planning.identity import REPLICATED

# Made of the moments of the volumes, so every subject has it.
_OF_MOMENTS: ControlName = "time"
# The settings of `data` that decide which volumes are used and which labels they get; those of `split` all do.
BASIS = frozenset({"timing", "lag_s", "drop_overlaps", "permute"})


def chosen(experiment: Experiment, data: DataFacts) -> list[ControlName]:
    """Return the experiment's controls, of `all` those that are packed for every subject of the plan.

    Raises UserError for a control that is named and not packed for one of them.
    """
    packed = _packed(experiment, data)
    if experiment.controls == "all":
        return [name for name in CONTROLS if name in packed]
    absent = next((name for name in experiment.controls if name not in packed), None)
    if absent is not None:
        there = ", ".join(name for name in CONTROLS if name in packed)
        raise UserError(f"controls: {absent} is not packed for every subject; those that are: {there}")
    return [name for name in CONTROLS if name in experiment.controls]


def missing(experiment: Experiment, data: DataFacts) -> list[str]:
    """Return the controls that `all` has to do without."""
    packed = _packed(experiment, data)
    return [name for name in CONTROLS if name not in packed] if experiment.controls == "all" else []


def settings_of_controls(
    experiment: Experiment, controls: Iterable[ControlName], swept: Iterable[tuple[TrialSettings, dict[str, Any]]]
) -> Iterator[tuple[TrialSettings, dict[str, Any]]]:
    """Yield the settings of each control, once for all of the brain's that it serves, and the swept ones among them.

    `swept` are the settings of the brain's trials, and the values of those that are swept.
    """
    known: dict[str, None] = {}
    for settings, values in swept:
        kept = {key: value for key, value in values.items() if _is_of_basis(key)}
        for control in controls:
            own = control_settings(settings, control, experiment.control_model)
            described = own.model_dump_json()
            if described not in known:
                known[described] = None
                yield own, kept


def _packed(experiment: Experiment, data: DataFacts) -> set[str]:
    named = experiment.plan.subjects
    subjects = [facts for subject, facts in data.subjects.items() if named == "all" or subject in named]
    return {_OF_MOMENTS, *(name for name in CONTROLS if all(name in facts.controls for facts in subjects))}


def _is_of_basis(key: str) -> bool:
    section, _, name = key.partition(".")
    return section == "split" or key in REPLICATED or (section == "data" and name in BASIS)
