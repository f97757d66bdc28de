"""The comparisons that an experiment declares before anything is trained: which conditions are compared with which."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepemotion.errors import UserError
from launcher.planning import identity
from launcher.planning.experiment import Experiment

# As many names as fit into a line of an error.
_SHOWN = 12


@dataclass(frozen=True)
class Comparison:
    """Two names as declared, and the pairs of conditions that they stand for."""

    first: str
    second: str
    conditions: tuple[tuple[str, str], ...]


def declared(experiment: Experiment) -> list[Comparison]:
    """Return the comparisons of `plan.compare`, each with its pairs of conditions.

    A name is that of a condition (`lr-0.001_model.name-cnn3d`), or a swept value, alone (`cnn3d`, `0.001`) or as it is
    written in conditions (`lr-0.001`). Two values of one setting stand for all pairs of conditions that differ in that
    setting only. Raises UserError for a name that the experiment does not have or that is not unique, and for pairs of
    names that cannot be compared.
    """
    if not experiment.plan.compare:
        return []
    conditions = _conditions(experiment)
    comparisons = [_resolved(first, second, conditions) for first, second in experiment.plan.compare]
    pairs = [frozenset(pair) for comparison in comparisons for pair in comparison.conditions]
    if len(set(pairs)) != len(pairs):
        raise UserError("plan.compare: the same two conditions are compared twice")
    return comparisons


def _conditions(experiment: Experiment) -> dict[str, dict[str, Any]]:
    """Return the swept values of each condition, without those that only replicate trainings."""
    sweep = experiment.plan.sweep
    found = {}
    for combination in itertools.product(*sweep.values()):
        values = dict(zip(sweep, combination, strict=True))
        condition = identity.condition(experiment.trial_settings(values), values)
        found[condition] = {key: value for key, value in values.items() if key not in identity.REPLICATED}
    return found


def _resolved(first: str, second: str, conditions: Mapping[str, dict[str, Any]]) -> Comparison:
    if first == second:
        raise UserError(f"plan.compare: {first} is compared with itself")
    if first in conditions and second in conditions:
        return Comparison(first, second, ((first, second),))
    (key, value), (other_key, other_value) = (_swept(name, conditions) for name in (first, second))
    if key != other_key:
        raise UserError(f"plan.compare: {first} is a {key} and {second} a {other_key}; name two values of one setting")
    partners = {name: {**values, key: other_value} for name, values in conditions.items() if values[key] == value}
    pairs = [
        (name, other) for name, partner in partners.items() for other in conditions if conditions[other] == partner
    ]
    return Comparison(first, second, tuple(pairs))


def _swept(name: str, conditions: Mapping[str, dict[str, Any]]) -> tuple[str, Any]:
    """Return the setting and value that a name stands for."""
    values = [pair for of_condition in conditions.values() for pair in of_condition.items()]
    found = [pair for i, pair in enumerate(values) if _names(name, *pair) and pair not in values[:i]]
    if len(found) == 1:
        return found[0]
    if name in conditions:
        raise UserError(f"plan.compare: {name} is a condition; name another condition beside it")
    if found:
        meant = " or ".join(_in_condition(*pair) for pair in found)
        raise UserError(f"plan.compare: {name} is a value of several settings; write {meant}")
    by_setting = sorted(values, key=lambda pair: pair[0])
    known = list(dict.fromkeys(_in_condition(*pair) for pair in by_setting)) or list(conditions)
    shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
    raise UserError(f"plan.compare: {name}: neither a swept value nor a condition of this experiment; it has {shown}")


def _names(name: str, key: str, value: Any) -> bool:
    bare = name.removeprefix(identity.prefix(key))
    number = _number(bare)
    if number is not None and number == _number(value):
        return True
    return name == _in_condition(key, value) or bare.lower() == identity.text(value).lower()


def _number(value: object) -> float | None:
    """Return the number that a name or value is; None, which equals no number, for any other."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _in_condition(key: str, value: Any) -> str:
    """Return how a condition's name has the value of a swept setting."""
    return identity.safe(identity.part(key, value))
