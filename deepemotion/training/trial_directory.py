"""The files of one training: its settings, its progress and its result.

trial.json           the trial's settings and what its data was (checksums)
epochs.tsv           one row per epoch; each epoch rewrites the file
events.out.tfevents* the same for TensorBoard, of a training by itself: a run has it in its folder tensorboard/
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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from deepemotion import files
from deepemotion.errors import UserError, from_validation
from deepemotion.files import readable, whole_lines, write_text
from deepemotion.scoring import audit
from deepemotion.settings.schema import Trial, described
from deepemotion.training import integrity

if TYPE_CHECKING:
    import pandas as pd


TRIALS = "trials"

_AGAIN = "delete it and launch again"
# The last checkpoint is kept: a trial without its result only predicts again.
_PREDICT_AGAIN = "delete it and result.json beside it, and train again"
_RESTART = "delete the folder and train again"
# What is looked up in the result of a finished trial.
_OF_FINISHED = (*audit.COLUMNS, "n_validation", "classes")


@dataclass(frozen=True)
class Finished:
    """What was trained: the trial, the checksums of its data, and the content of result.json."""

    trial: Trial
    data: dict[str, str]
    result: dict[str, Any]


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
        wanted, content = _decisive(_identity(trial, checksums)), self.read_json(self.settings)
        if content is None:
            return
        with readable(self.settings, _RESTART):
            existing = _decisive(content)
        if existing != wanted:
            key = _first_difference(existing, wanted)
            raise UserError(f"{self.path}: holds a training that differs in {key}; choose another folder")

    def claim(self, trial: Trial, checksums: Mapping[str, str]) -> None:
        """Record `trial` and its data's checksums in the directory, and remove the last attempt's failure."""
        content = _identity(trial, checksums)
        if self.read_json(self.settings) != content:
            write_text(self.settings, json.dumps(content, indent=1) + "\n")
        self.failure.unlink(missing_ok=True)

    def require_finished(self) -> Finished:
        """Return what was trained, and its result. Raises UserError if the training is not done or damaged."""
        settings = self.read_settings()
        if settings is None:
            raise UserError(f"{self.path}: no training here (trial.json is missing)")
        result = self.read_finished()
        if result is None:
            raise UserError(f"{self.path}: this training is not done; finish it first")
        trial, data = settings
        with readable(self.result, _AGAIN):
            if result["epochs"] != trial.train.epochs:
                raise ValueError(f"{result['epochs']} epochs where trial.json has {trial.train.epochs}")
        return Finished(trial, data, result)

    def read_settings(self) -> tuple[Trial, dict[str, str]] | None:
        """Return the trial and its data's checksums, None if trial.json is missing. Raises UserError if damaged."""
        content = self.read_json(self.settings)
        if content is None:
            return None
        with readable(self.settings, _RESTART):
            data = {str(name): str(checksum) for name, checksum in dict(content["data"]).items()}
            try:
                return Trial.model_validate(content["trial"]), data
            except pydantic.ValidationError as error:
                raise ValueError(str(from_validation(error, "trial", Trial))) from error

    def read_finished(self) -> dict[str, Any] | None:
        """Return the content of result.json, None if there is none, after checking that all files belong to it.

        Raises UserError that names a file which is missing, not as it was written, or impossible.
        """
        result = self.read_json(self.result)
        if result is None:
            return None
        with readable(self.result, _AGAIN):
            integrity.require_possible(result)
            lacking = [name for name in _OF_FINISHED if name not in result]
            if lacking:
                raise ValueError(f"no {lacking[0]}")
        self.require_recorded(result)
        for path in (self.predictions, self.epochs):
            if not path.exists():
                raise UserError(f"{path}: missing, though the trial is done; {_PREDICT_AGAIN}")
        epochs = self.read_epochs()
        with readable(self.epochs, _PREDICT_AGAIN):
            integrity.require_epochs(epochs, result["epochs"])
        return result

    def require_recorded(self, result: Mapping[str, Any]) -> None:
        """Raise UserError for a file that is missing or changed since the result was written with its checksum."""
        for name, recorded in integrity.recorded_files(result).items():
            self._require_recorded(self.path / name, recorded)

    def _require_recorded(self, path: Path, recorded: str) -> None:
        with readable(path, _PREDICT_AGAIN):
            if integrity.file_checksum(path) != recorded:
                raise ValueError("its content does not match the checksum in result.json")

    def write_result(self, content: Mapping[str, Any]) -> None:
        """Write result.json, with the checksums of the predictions, of the epochs, and its own."""
        files = {path.name: integrity.file_checksum(path) for path in (self.predictions, self.epochs)}
        content = {**content, integrity.FILES: files}
        content[integrity.CHECKSUM] = integrity.checksum(content)
        write_text(self.result, json.dumps(content, indent=1) + "\n")

    def read_predictions(self, columns: list[str] | None = None) -> "pd.DataFrame":
        """Return the final model's predictions, or these columns of them. Raises UserError if they are damaged."""
        import pandas as pd

        recorded = integrity.recorded_files(self.read_json(self.result) or {})
        if self.predictions.name in recorded:
            self._require_recorded(self.predictions, recorded[self.predictions.name])
        with readable(self.predictions, _PREDICT_AGAIN):
            return pd.read_parquet(self.predictions, columns=columns, page_checksum_verification=True)

    def remove_abandoned(self, **age_s: float) -> None:
        """Remove temporary files that killed trainings left, as `files.remove_abandoned` does."""
        for folder in (self.path, self.checkpoints):
            files.remove_abandoned(folder, **age_s)

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
            if len(set(names)) < len(names):
                raise ValueError("two columns have one name")
            return [dict(zip(names, map(float, row), strict=True)) for row in rows]

    def log_error(self, error: BaseException) -> None:
        """Append an error to the trial's log, with its traceback unless bad input is the cause."""
        bad_input = isinstance(error, UserError)
        self.log("failed: " + (str(error) if bad_input else "".join(traceback.format_exception(error))))

    def write_failure(self, reason: str, session: str) -> None:
        """Record why the trial failed for good in `session`, in one line."""
        write_text(self.failure, json.dumps({"reason": " ".join(reason.split()), "session": session}) + "\n")

    def read_json(self, path: Path) -> dict[str, Any] | None:
        """Return the content of one of the JSON files, None if it does not exist.

        Raises UserError if it is damaged, which includes not matching its own checksum, if it has one.
        """
        content = files.read_json(path, _AGAIN)
        if content is not None:
            with readable(path, _AGAIN):
                integrity.require_own_checksum(content)
        return content


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
    trial = described(content["trial"])
    return {**content, "trial": {**trial, "model": {**trial["model"], "atlas": None}}}


def _first_difference(one: Any, other: Any, key: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in [*one, *other]:
            if one.get(name) != other.get(name):
                return _first_difference(one.get(name), other.get(name), f"{key}.{name}" if key else name)
    return key
