"""The files of one training: its settings, its progress and its result.

trial.json           the trial's settings and what its data was (checksums)
epochs.tsv           one row per epoch; each epoch rewrites the file
events.out.tfevents* the same for TensorBoard
checkpoints/         last, previous, best
predictions.parquet  the final model's, for every labelled volume
result.json          written last: a trial that has it is done
failure.json         why the last attempt failed
log.txt              what happened, in order, in all attempts
"""

import csv
import hashlib
import io
import json
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deepemotion import files
from deepemotion.errors import UserError
from deepemotion.files import readable, whole_lines, write_text
from deepemotion.settings.schema import Trial

if TYPE_CHECKING:
    import pandas as pd


TRIALS = "trials"


class TrialDirectory:
    """Reads and writes the files of one training."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.settings = path / "trial.json"
        self.epochs = path / "epochs.tsv"
        self.predictions = path / "predictions.parquet"
        self.result = path / "result.json"
        self.failure = path / "failure.json"
        self.checkpoints = path / "checkpoints"
        self.log_file = path / "log.txt"

    def require(self, trial: Trial, checksums: Mapping[str, str]) -> None:
        """Raise UserError if the directory belongs to another trial or other data: checkpoints would be mixed."""
        content, existing = _identity(trial, checksums), self.read_json(self.settings)
        if existing is not None and _decisive(existing) != _decisive(content):
            key = _first_difference(_decisive(existing), _decisive(content))
            raise UserError(f"{self.path}: holds a training that differs in {key}; choose another folder")

    def claim(self, trial: Trial, checksums: Mapping[str, str]) -> None:
        """Record `trial` and its data's checksums in the directory, and remove the last attempt's failure."""
        content = _identity(trial, checksums)
        if self.read_json(self.settings) != content:
            write_text(self.settings, json.dumps(content, indent=1) + "\n")
        self.failure.unlink(missing_ok=True)

    def require_finished(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the content of trial.json and result.json. Raises UserError if the training is not done."""
        settings, result = self.read_json(self.settings), self.read_json(self.result)
        if settings is None:
            raise UserError(f"{self.path}: no training here (trial.json is missing)")
        if result is None:
            raise UserError(f"{self.path}: this training is not done; finish it first")
        return settings, result

    def read_predictions(self, columns: list[str] | None = None) -> "pd.DataFrame":
        """Return the final model's predictions, or these columns of them. Raises UserError if they cannot be read."""
        import pandas as pd

        with readable(self.predictions, "delete it and result.json beside it, and train again"):
            return pd.read_parquet(self.predictions, columns=columns)

    def log(self, line: str) -> None:
        """Append a line with the time (UTC) to the trial's log."""
        self.path.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {line}\n")

    def write_epochs(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the metrics of all epochs so far; floats are written so that they read back exactly."""
        text = io.StringIO()
        writer = csv.DictWriter(text, list(history[0]), delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
        write_text(self.epochs, text.getvalue())

    def read_epochs(self) -> list[dict[str, float]]:
        """Return the metrics of the epochs so far, none for a trial that has not finished one.

        Raises UserError if the file is truncated or damaged.
        """
        try:
            text = self.epochs.read_bytes()
        except FileNotFoundError:
            return []
        with readable(self.epochs, f"delete the folder {self.path} and launch again"):
            names, *rows = csv.reader(whole_lines(text), delimiter="\t")
            return [dict(zip(names, map(float, row), strict=True)) for row in rows]

    def log_error(self, error: BaseException) -> None:
        """Append an error to the trial's log, with its traceback unless bad input is the cause."""
        bad_input = isinstance(error, UserError)
        self.log("failed: " + (str(error) if bad_input else "".join(traceback.format_exception(error))))

    def write_failure(self, reason: str, session: str) -> None:
        """Record why the trial failed for good in `session`, in one line."""
        write_text(self.failure, json.dumps({"reason": " ".join(reason.split()), "session": session}) + "\n")

    def read_json(self, path: Path) -> dict[str, Any] | None:
        """Return the content of one of the JSON files, None if it does not exist. Raises UserError if damaged."""
        return files.read_json(path, "delete it and launch again")


def is_run(folder: Path) -> bool:
    """Return whether a folder is a run's, with trainings below it."""
    return (folder / TRIALS).is_dir()


def find_trial(folder: Path, beginning: str) -> TrialDirectory:
    """Return the training below `folder` of exactly this name, or the only one whose name begins with it.

    Raises UserError if there is none, or several.
    """
    if not is_run(folder):
        raise UserError(f"{folder}: no run here (it has no folder {TRIALS}); give the folder runs/NAME of a launch")
    names = (path.name for path in (folder / TRIALS).glob("*/"))
    name = name_by_beginning(names, beginning, f"the trials that have started are in {folder / TRIALS}")
    return TrialDirectory(folder / TRIALS / name)


def name_by_beginning(names: Iterable[str], beginning: str, listed: str) -> str:
    """Return the trial of exactly this name, or the only one whose name begins with it.

    Raises UserError if there is none, or several; `listed` says where to find their names.
    """
    matches = sorted(name for name in names if name.startswith(beginning))
    if len(matches) != 1 and beginning not in matches:
        several = f"{len(matches)} trials begin with it: {', '.join(matches[:5])}" if matches else "no such trial"
        raise UserError(f"{beginning}: {several}; {listed}")
    return beginning if beginning in matches else matches[0]


def digest(trial: Trial, checksums: Mapping[str, str]) -> str:
    """Return 64 hexadecimal digits that identify the settings and the data of a training."""
    return hashlib.sha256(json.dumps(_decisive(_identity(trial, checksums)), sort_keys=True).encode()).hexdigest()


def _identity(trial: Trial, checksums: Mapping[str, str]) -> dict[str, Any]:
    return {"trial": trial.model_dump(mode="json"), "data": dict(checksums)}


def _decisive(content: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the result: of an atlas, its checksum and not its path."""
    model = {**content["trial"]["model"], "atlas": None}
    return {**content, "trial": {**content["trial"], "model": model}}


def _first_difference(one: Any, other: Any, key: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in [*one, *other]:
            if one.get(name) != other.get(name):
                return _first_difference(one.get(name), other.get(name), f"{key}.{name}" if key else name)
    return key
