"""Runs the unfinished trials of a run under Ray Tune: one session."""

import os
import re
from collections.abc import Sequence
from typing import Any, Protocol

from ray import tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback

from deepemotion.errors import UserError
from deepemotion.training.data_sources import Sources
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.sessions import Session
from launcher.session.resources import Share
from launcher.session.trainable import TrialError, run_trial

# How many times a trial is restarted, after an error or the loss of its worker or node, before it counts as failed.
MAX_RESTARTS = 3


class Watcher(Protocol):
    """Is notified of the session's progress, in the driver's process."""

    def started(self, trial: str) -> None:
        """Note that a trial has its resources and is starting."""

    def epoch(self, trial: str, epoch: int, accuracy: float, seconds: float) -> None:
        """Note that a trial has finished an epoch with this validation accuracy, which took so long."""

    def finished(self, trial: str) -> None:
        """Note that a trial is done."""

    def failed(self, trial: str) -> None:
        """Note that a trial has failed and will not be restarted."""

    def tick(self) -> None:
        """Update what depends on the time; called often, even if nothing has happened."""


def run_session(
    run: RunDirectory,
    trials: Sequence[PlannedTrial],
    shares: dict[str, Share],
    session: Session,
    watcher: Watcher,
    attempt: int = 1,
) -> None:
    """Run the trials under Ray Tune, in the Ray that this process is connected to, until all have ended or Ctrl-C.

    Each trial's directory records how it ended. Ctrl-C (SIGINT) ends the session; checkpoints stay. `attempt` counts
    the times that Ray was started for this session. Raises UserError if the run's disk is full.
    """
    # Tune's own TensorBoard logger would write every metric a second time, under prefixed tags.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    sources = Sources.read(run.path)
    param_space = {
        "trial": tune.grid_search(
            [
                {
                    "name": trial.name,
                    "settings": trial.trial.model_dump(mode="json"),
                    "data": trial.data,
                    "directory": str(run.trial(trial.name).path.resolve()),
                    "memory_limit": shares[trial.name].memory_limit,
                }
                for trial in trials
            ]
        ),
        "packed": str(sources.packed),
        "labels": str(sources.labels),
        "session": session.group,
    }

    def resources(config: dict[str, Any]) -> Any:
        share = shares[config["trial"]["name"]]
        return tune.PlacementGroupFactory([{"CPU": share.cpus, "GPU": share.gpus, "memory": share.memory_bytes}])

    tuner = tune.Tuner(
        tune.with_resources(run_trial, resources),
        param_space=param_space,
        tune_config=tune.TuneConfig(reuse_actors=True, trial_name_creator=_name, trial_dirname_creator=_name),
        run_config=tune.RunConfig(
            # Tune would overwrite an earlier experiment of the same name.
            name=session.name if attempt == 1 else f"{session.name}-{attempt}",
            storage_path=str(run.tune.resolve()),
            failure_config=tune.FailureConfig(max_failures=MAX_RESTARTS),
            callbacks=[JsonLoggerCallback(), CSVLoggerCallback(), Relay(run, session, watcher)],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except Exception as error:
        # On a full disk Tune and its callbacks can fail anywhere; report the full disk.
        run.require_writable()
        # The incomplete file has been removed, which may have freed enough space.
        user_error = _user_error(error)
        if user_error is not None:
            raise UserError(str(user_error)) from error
        raise


def _user_error(error: BaseException | None) -> UserError | None:
    """Return the UserError in the chain of causes of an error, None if there is none."""
    while error is not None and not isinstance(error, UserError):
        error = error.__cause__ or error.__context__
    return error


def _name(trial: Any) -> str:
    name: str = trial.config["trial"]["name"]
    return name


class Relay(tune.Callback):  # type: ignore[misc]
    """Passes Tune's events to a watcher and records failures. Tune pickles it, without its state."""

    def __init__(self, run: RunDirectory, session: Session, watcher: Watcher) -> None:
        self.run = run
        self.session = session
        self.watcher = watcher

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Let the watcher update itself."""
        self.watcher.tick()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial has its resources and is starting."""
        self.watcher.started(_name(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on a finished epoch: each result of a trial is one, but for the last."""
        if "time_epoch" in result:
            metrics = int(result["epoch"]), float(result["accuracy_validation"]), float(result["time_epoch"])
            self.watcher.epoch(_name(trial), *metrics)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Note that a trial is done."""
        self.watcher.finished(_name(trial))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Record that a trial has failed for good."""
        directory = self.run.trial(_name(trial))
        known = directory.read_json(directory.failure)
        if known is None or known["session"] != self.session.group:
            directory.write_failure(_reason(trial.get_error() or ""), self.session.group)
        self.watcher.failed(_name(trial))


def _reason(errors: str) -> str:
    """Return the last of the errors that Tune recorded for a trial, in one line."""
    last = re.split(r"^Failure # .*$", errors, flags=re.MULTILINE)[-1].splitlines()
    own = [line.partition(": ")[2] for line in last if line.startswith(f"{TrialError.__module__}.TrialError: ")]
    if own:
        return own[-1]
    first = next((line for line in last if line.strip()), "no reason given")
    return f"its worker process died {MAX_RESTARTS + 1} times; the last time: {first}"
