"""A Tuner over the unfinished trials of a run: one session of it."""

import os
from collections.abc import Sequence
from typing import Any, Protocol

from ray import tune
from ray.tune.logger import CSVLoggerCallback, JsonLoggerCallback

from launcher.plan import PlannedTrial
from launcher.resources import Share
from launcher.run_directory import RunDirectory
from launcher.sessions import Session
from launcher.trainable import run_trial

# A trial's worker or node may die this often before the trial counts as failed; its own errors count at once.
MAX_DEATHS = 3


class Watcher(Protocol):
    """Hears of the session's progress, in the driver's process."""

    def started(self, trial: str) -> None:
        """Tell that a trial got its resources."""

    def epoch(self, trial: str, epoch: int, accuracy: float) -> None:
        """Tell of a trial's finished epoch and its validation accuracy."""

    def finished(self, trial: str) -> None:
        """Tell that a trial is done."""

    def failed(self, trial: str) -> None:
        """Tell that a trial failed for good."""

    def tick(self) -> None:
        """Be called often, whatever happens."""


def run_session(
    run: RunDirectory,
    trials: Sequence[PlannedTrial],
    shares: dict[str, Share],
    session: Session,
    watcher: Watcher,
) -> None:
    """Run the trials under Ray Tune, in the Ray that this process is connected to, until all ended or Ctrl-C.

    How each ended is in its directory. Ctrl-C (SIGINT) ends the session with the checkpoints that there are.
    """
    # Tune's own TensorBoard logger would write every metric a second time, under prefixed tags.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    packed, labels = run.read_sources()
    param_space = {
        "trial": tune.grid_search(
            [
                {
                    "name": trial.name,
                    "settings": trial.settings,
                    "directory": str(run.trial(trial.name).path.resolve()),
                    "memory_limit": shares[trial.name].memory_limit,
                }
                for trial in trials
            ]
        ),
        "packed": str(packed),
        "labels": str(labels),
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
            name=session.name,
            storage_path=str(run.tune.resolve()),
            failure_config=tune.FailureConfig(max_failures=MAX_DEATHS),
            callbacks=[JsonLoggerCallback(), CSVLoggerCallback(), Relay(watcher)],
            verbose=0,
        ),
    )
    tuner.fit()


def _name(trial: Any) -> str:
    name: str = trial.config["trial"]["name"]
    return name


class Relay(tune.Callback):  # type: ignore[misc]
    """Passes Tune's events on to a watcher, which is left out when Tune pickles its callbacks for a restore."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tell that time has passed."""
        self.watcher.tick()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell that a trial got its resources."""
        self.watcher.started(_name(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Tell of an epoch, which is what a trial's results are."""
        if "accuracy_validation" in result:
            self.watcher.epoch(_name(trial), int(result["epoch"]), float(result["accuracy_validation"]))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell that a trial is done."""
        self.watcher.finished(_name(trial))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Tell that a trial failed for good."""
        self.watcher.failed(_name(trial))
