"""The grammar of a launch's options: sweeps, learning rates, subjects and the protocol, as changes of an experiment."""

from collections.abc import Collection
from typing import Any, Literal

from deepemotion.errors import UserError
from deepemotion.settings.overrides import key_of, parse_value
from deepemotion.settings.schema import CONTROLS, ControlName
from deepemotion.settings.subjects import parse_subjects
from deepemotion.subject_label import require_subject_label
from launcher.planning.protocols import Protocol


def parse_sweeps(texts: list[str], model: str | None, lr: str | None) -> dict[str, list[Any]]:
    """Return the values to sweep by `--sweep`, `--model` and `--lr`. Raises UserError for a key named twice."""
    parsed = [(f"--sweep {text}", *_parse_sweep(text)) for text in texts]
    if model is not None:
        parsed.append((f"--model {model}", "model.name", model.split(",")))
    if lr is not None:
        parsed.append((f"--lr {lr}", "train.learning_rate", _parse_learning_rates(lr)))
    sweeps: dict[str, list[Any]] = {}
    for option, key, values in parsed:
        if key in sweeps:
            raise UserError(f"{option}: {key} is swept twice; give all its values at once")
        sweeps[key] = values
    return sweeps


def _parse_sweep(text: str) -> tuple[str, list[Any]]:
    """Parse `section.key=a,b,c`. Raises UserError for another form or a value given twice."""
    key, equals, values = text.partition("=")
    parsed = [parse_value(value) for value in values.split(",")] if values else []
    if not equals or "." not in key or not parsed:
        raise UserError(f"--sweep {text}: write it as section.key=a,b,c, for instance data.lag_s=0,2,4")
    if len({repr(value) for value in parsed}) != len(parsed):
        raise UserError(f"--sweep {text}: a value is given twice")
    return key, parsed


def _parse_learning_rates(text: str) -> list[float]:
    """Parse `1e-4,3e-4`. Raises UserError for anything that is not a list of numbers."""
    try:
        # Python reads 1_0 as 10.
        return [float(value.replace("_", "?")) for value in text.split(",")]
    except ValueError:
        raise UserError(f"--lr {text}: write numbers, for instance 1e-4,3e-4,1e-3") from None


def parse_comparisons(texts: list[str]) -> dict[str, Any]:
    """Return the plan's change for `--compare A,B`, given once or more; none for no option."""
    pairs = [[name.strip() for name in text.split(",")] for text in texts]
    for text, pair in zip(texts, pairs, strict=True):
        if len(pair) != 2 or not all(pair):
            raise UserError(f"--compare {text}: write two names, for instance cnn3d,linear")
    return {"compare": pairs} if pairs else {}


def plan_of_protocol(protocol: Protocol, held_out_folds: bool) -> dict[str, Any]:
    """Return the plan's change for `--protocol`: those that hold subjects out train such sets instead of the usual.

    They leave one subject out at a time, unless the paper's four folds are asked for.
    """
    if not protocol.held_out_subjects:
        return {}
    return {"single_subject": False, "pooled": False, "leave_one_subject_out": not held_out_folds}


def with_protocol(overrides: list[str], protocol: Protocol | None) -> list[str]:
    """Return the changes by `--set` and `--protocol`. Raises UserError where both name a protocol."""
    if protocol is None:
        return overrides
    other = next((text for text in overrides if key_of(text) == "split.protocol"), None)
    if other is not None:
        raise UserError(f"--set {other}: --protocol decides it; give one of the two")
    return [*overrides, f"split.protocol={protocol.movie_split}"]


def parse_controls(text: str | None) -> Literal["all"] | list[ControlName] | None:
    """Return the controls that `--controls` names, in a fixed order: `time,motion`, `all` or `none`.

    None leaves the experiment's as they are. Raises UserError for a name that is no control's.
    """
    if text is None:
        return None
    if text == "all":
        return "all"
    names = [] if text == "none" else text.split(",")
    unknown = next((name for name in names if name not in CONTROLS), None)
    if unknown is not None:
        raise UserError(
            f"--controls {text}: {unknown!r} is no control; choose all, none, or from {', '.join(CONTROLS)}"
        )
    return [name for name in CONTROLS if name in names]


def parse_plan_subjects(text: str | None, packed: Collection[str]) -> dict[str, Any]:
    """Return the plan's change for `--subjects`, which are among those `packed`; none for no option.

    Raises UserError for what cannot be a subject.
    """
    if text is None:
        return {}
    subjects = parse_subjects(text, packed)
    try:
        return {"subjects": [require_subject_label(subject) for subject in subjects]}
    except ValueError as error:
        raise UserError(f"--subjects: {error}") from error
