"""One trial under Ray Tune: trains in its own directory of the run, and reports each epoch."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.settings.schema import Trial
from deepemotion.training.checksums import data_digest
from deepemotion.training.trial_directory import TrialDirectory


class TrialError(Exception):
    """Tells Tune why a trial failed; the traceback is in the trial's log."""


def run_trial(config: dict[str, Any]) -> None:
    """Train the trial of `config`: `trial` (settings, data, directory, memory limit), `packed`, `labels`, `session`.

    Progress lives in the trial's directory, so that a trial restarted anywhere, by this session or the next, goes on
    from its last epoch. Bad input fails the trial for the whole session. After any other error Tune starts it again, as
    after a worker's death: a process that is being ended stumbles over anything, and that is no fault of the trial.
    """
    from ray import tune

    from deepemotion.training.loop import Metrics, train

    packed, labels = Path(config["packed"]), Path(config["labels"])
    directory = TrialDirectory(Path(config["trial"]["directory"]))
    earlier = directory.read_json(directory.failure)
    if earlier is not None and earlier.get("session") == config["session"]:
        raise TrialError(earlier["reason"])

    def report(metrics: Metrics) -> None:
        # Tune takes "/" in a result's key for nesting.
        tune.report({key.replace("/", "_"): value for key, value in metrics.items()})

    try:
        trial = Trial.model_validate(config["trial"]["settings"])
        _require_planned(trial, packed, labels, config["trial"]["data"])
        result = train(trial, packed, labels, directory, report, config["trial"]["memory_limit"])
    except Exception as error:
        bad_input = isinstance(error, UserError)
        # Where the disk is full, the reason reaches the driver all the same.
        with suppress(OSError, UserError):
            directory.log_error(error)
            if bad_input:
                directory.write_failure(str(error), config["session"])
        raise TrialError(str(error) if bad_input else f"{type(error).__name__}: {error}") from None
    tune.report(
        {"epoch": result["epochs"], **{key: value for key, value in result.items() if isinstance(value, float)}}
    )


def _require_planned(trial: Trial, packed: Path, labels: Path, planned: str) -> None:
    """Raise UserError where the data is no longer what was planned: its results would count as those of the plan's."""
    from deepemotion.training.checksums import data_checksums

    if data_digest(data_checksums(trial, packed, Labels.read(labels))) != planned:
        raise UserError(f"{labels} or the subjects in {packed} have changed since the trial was planned; launch again")
