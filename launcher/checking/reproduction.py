"""Trains a finished trial again, elsewhere, and compares what comes out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from deepemotion.errors import UserError
from deepemotion.machine import available_memory
from deepemotion.training.data_sources import Sources
from deepemotion.training.trial_directory import TrialDirectory, name_by_beginning
from launcher.checking.predictions import PLACE, read_predictions
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.trial_files import read_epochs, read_result

Metrics = Mapping[str, Any]
# What depends on how busy a machine is.
_TIMES = ("duration_s", "training_s", "time/epoch")
# On another machine the rounding of each step differs, and training magnifies it: an accuracy may change by this much,
# and by two standard errors of a share of so many volumes.
_ACCURACY_TOLERANCE = 0.02
_SIDES = ("train", "validation", "unseen")
_HOST = re.compile(r" on \S+, host (\S+), GPUs ")


@dataclass(frozen=True)
class Reproduction:
    """How a second training compares with the first.

    `rows` are a table of texts, the header first. `conclusion` says in a sentence whether it is reproduced, and what
    is expected on this machine; `reproduced` whether it is.
    """

    rows: list[tuple[str, ...]]
    conclusion: str
    reproduced: bool


def find_finished(run: RunDirectory, beginning: str) -> PlannedTrial:
    """Return the planned trial whose name begins so. Raises UserError where there is none, or it is not done."""
    plan = {trial.name: trial for trial in run.read_plan()}
    name = name_by_beginning(plan, beginning, f"deepemotion-launch status {run.path} lists them")
    if not run.trial(name).result.exists():
        raise UserError(f"{name}: not done; only a finished trial can be compared with another training")
    return plan[name]


def require_elsewhere(run: RunDirectory, out: Path) -> None:
    """Raise UserError where a folder belongs to the run, or holds a finished training."""
    if out.resolve().is_relative_to(run.path.resolve()):
        raise UserError(f"{out}: is in the run itself; give a folder outside of it")
    if TrialDirectory(out).result.exists():
        raise UserError(f"{out}: holds a finished training; give a new folder")


def reproduce(
    run: RunDirectory, trial: PlannedTrial, out: Path, on_epoch: Callable[[dict[str, float]], None]
) -> Reproduction:
    """Train a finished trial again in the folder `out`, on the run's data, and compare metrics and predictions.

    Raises UserError where the data cannot be read or have changed, and where a file of the trial is damaged.
    """
    from deepemotion.training.loop import train

    recorded = _Training.read(run.trial(trial.name), trial)
    sources = Sources.read(run.path)
    train(
        trial.trial,
        sources.packed,
        sources.labels,
        TrialDirectory(out),
        on_epoch,
        available_memory(),
        trial.data or None,
    )
    return compare(recorded, _Training.read(TrialDirectory(out), trial))


@dataclass(frozen=True)
class _Training:
    """What a finished training left."""

    result: Metrics
    epochs: list[dict[str, float]]
    predictions: pd.DataFrame
    host: str

    @classmethod
    def read(cls, directory: TrialDirectory, trial: PlannedTrial) -> "_Training":
        log = ""
        if directory.log_file.exists():
            log = directory.log_file.read_text(encoding="utf-8", errors="replace")
        hosts = _HOST.findall(log)
        return cls(
            read_result(directory, trial),
            read_epochs(directory, trial, done=True),
            read_predictions(directory).sort_values(PLACE, ignore_index=True),
            hosts[-1] if hosts else "",
        )


def compare(recorded: _Training, again: _Training) -> Reproduction:
    """Return how a training compares with an earlier one of the same trial."""
    rows: list[tuple[str, ...]] = [("", "recorded", "again", "difference")]
    rows += [_number(key, recorded.result[key], again.result.get(key)) for key in _shown(recorded.result)]
    same_epochs = [_untimed(a) == _untimed(b) for a, b in zip(recorded.epochs, again.epochs, strict=True)]
    first = same_epochs.index(False) + 1 if False in same_epochs else None
    rows.append(
        ("epochs with equal metrics", str(len(same_epochs)), str(sum(same_epochs)), f"from {first}" if first else "")
    )
    if not recorded.predictions[PLACE].equals(again.predictions[PLACE]):
        return Reproduction(rows, "not reproduced: predictions are of other volumes", False)
    same = recorded.predictions["prediction"] == again.predictions["prediction"]
    rows.append(("equal predictions", str(len(same)), str(same.sum()), f"{100 * same.mean():.1f} %"))
    columns = [column for column in recorded.predictions if str(column).startswith("p_")]
    apart = np.abs(recorded.predictions[columns].to_numpy() - again.predictions[columns].to_numpy())
    rows.append(("largest difference of a probability", "", "", f"{np.nanmax(apart, initial=0):.3g}"))
    equal = (
        first is None
        and recorded.predictions.equals(again.predictions)
        and _untimed(recorded.result) == _untimed(again.result)
    )
    return Reproduction(rows, *_judged(recorded, again, equal))


def _judged(recorded: _Training, again: _Training, equal: bool) -> tuple[str, bool]:
    """Return the conclusion, and whether a training is reproduced."""
    if equal:
        return "reproduced: equal bit for bit", True
    changed = [
        f"{name} {recorded.result.get(name) or 'unknown'}, now {again.result.get(name)}"
        for name in ("deepemotion", "torch", "device")
        if recorded.result.get(name) != again.result.get(name)
    ]
    if recorded.host != again.host:
        changed.append(f"host {recorded.host or 'unknown'}, now {again.host}")
    if not changed and again.result.get("device") == "cpu":
        return "not reproduced: on the same machine with the same code, a training is equal bit for bit", False
    why = "; ".join(changed) or "a GPU may sum in another order each time"
    wrong = [side for side in _SIDES if not _is_near(recorded.result, again.result, side)]
    if wrong:
        return f"not reproduced: the {wrong[0]} accuracy differs by more than rounding explains ({why})", False
    return f"reproduced within what is expected where rounding differs ({why})", True


def _is_near(recorded: Metrics, again: Metrics, side: str) -> bool:
    one, other = recorded.get(f"accuracy_{side}"), again.get(f"accuracy_{side}")
    if one is None or other is None:
        return one is other
    number = max(int(recorded.get(f"n_{side}", 1)), 1)
    error = float(np.sqrt(one * (1 - one) / number))
    return abs(float(one) - float(other)) <= _ACCURACY_TOLERANCE + 2 * error


def _shown(result: Metrics) -> list[str]:
    names = [f"{name}_{side}" for side in _SIDES for name in ("accuracy", "balanced_accuracy", "macro_f1", "ece")]
    return [name for name in names if name in result]


def _number(name: str, recorded: float, again: float | None) -> tuple[str, ...]:
    if again is None:
        return name, f"{recorded:.6f}", "", "missing"
    difference = again - recorded
    return name, f"{recorded:.6f}", f"{again:.6f}", f"{difference:+.2g}" if difference else "0"


def _untimed(metrics: Metrics) -> dict[str, Any]:
    """Return the metrics, with texts for numbers so that nan is equal to itself, without times and the machine."""
    numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
    return {key: repr(float(value)) for key, value in numbers.items() if key not in _TIMES}
