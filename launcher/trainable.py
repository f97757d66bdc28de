"""One trial under Ray Tune: trains in its own directory of the run, and reports each epoch."""

from pathlib import Path
from typing import Any

from deepemotion.errors import UserError
from deepemotion.settings import Trial
from deepemotion.trial_directory import TrialDirectory


class TrialError(Exception):
    """Tells Tune that a trial failed; its own text is short since the reason is in the trial's failure.json."""


def run_trial(config: dict[str, Any]) -> None:
    """Train the trial of `config`: `trial` (name, settings, directory, memory limit), `packed`, `labels`, `session`.

    Progress lives in the trial's directory, so that a trial restarted anywhere, by this session or the next, goes on
    from its last epoch. A trial that failed by its own fault is not tried again within the session.
    """
    from ray import tune

    from deepemotion.training import Metrics, train

    directory = TrialDirectory(Path(config["trial"]["directory"]))
    earlier = directory.read_json(directory.failure)
    if earlier is not None and earlier.get("session") == config["session"]:
        raise TrialError(earlier["reason"])

    def report(metrics: Metrics) -> None:
        # Tune takes "/" in a result's key for nesting.
        tune.report({key.replace("/", "_"): value for key, value in metrics.items()})

    try:
        result = train(
            Trial.model_validate(config["trial"]["settings"]),
            Path(config["packed"]),
            Path(config["labels"]),
            directory,
            report,
            config["trial"]["memory_limit"],
        )
    except UserError as error:
        directory.write_failure(error, config["session"])
        raise TrialError(str(error)) from None
    except Exception as error:
        directory.write_failure(error, config["session"])
        raise
    tune.report(
        {"epoch": result["epochs"], **{key: value for key, value in result.items() if isinstance(value, float)}}
    )
