"""Trains one trial under Ray Tune, in the trial's own directory, and reports each epoch."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from deepemotion.errors import UserError
from deepemotion.settings.schema import Trial
from deepemotion.training.trial_directory import TrialDirectory


class TrialError(Exception):
    """Why a trial failed, for Tune; the traceback is in the trial's log."""


def run_trial(config: dict[str, Any]) -> None:
    """Train the trial of `config`: `trial` (settings, data, directory, memory limit), `packed`, `labels`, `session`.

    Progress is stored in the trial's directory, so a trial that is restarted anywhere, in this session or the next,
    resumes after its last epoch. Bad input fails the trial for the whole session. After any other error Tune starts it
    again, as after a worker's death: a process that is being killed can fail anywhere, which is no fault of the trial.
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
        memory, planned = config["trial"]["memory_limit"], config["trial"]["data"]
        result = train(trial, packed, labels, directory, report, memory, planned, event_file=False)
    except Exception as error:
        bad_input = isinstance(error, UserError)
        # On a full disk, the driver still receives the reason.
        with suppress(OSError, UserError):
            directory.log_error(error)
            if bad_input:
                directory.write_failure(str(error), config["session"])
        raise TrialError(str(error) if bad_input else f"{type(error).__name__}: {error}") from None
    tune.report(
        {"epoch": result["epochs"], **{key: value for key, value in result.items() if isinstance(value, float)}}
    )
