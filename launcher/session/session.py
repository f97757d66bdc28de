"""A session from its beginning to its end: its record, its live progress, its Tuner, the tables at the end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from deepemotion.console import say
from deepemotion.errors import UserError
from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.run.sessions import SessionFile
from launcher.session.progress import SessionProgress
from launcher.session.resources import Machine, share_of


@dataclass
class RunningSession:
    """A session that has begun. `stopped_by` is set by whoever ends it early, and says why."""

    run: RunDirectory
    trials: Sequence[PlannedTrial]
    record: SessionFile
    watcher: SessionProgress
    stopped_by: str = "interrupted"

    def train(self, machine: Machine) -> None:
        """Train the trials in the Ray that this process is connected to; `machine` is one node of it."""
        from launcher.session.tuner import run_session

        resources = self.run.read_experiment().resources
        shares = {trial.name: share_of(trial, resources, machine) for trial in self.trials}
        run_session(self.run, self.trials, shares, self.record.session, self.watcher)

    @property
    def unfinished(self) -> bool:
        """Say whether any of the session's trials has neither a result nor a failure."""
        states = (self.run.state(trial.name, running=()) for trial in self.trials)
        return "pending" in states


@contextmanager
def open_session(
    run: RunDirectory,
    trials: Sequence[PlannedTrial],
    already_done: int,
    group: str | None = None,
    job: str | None = None,
) -> Iterator[RunningSession]:
    """Begin a session over these trials, and end its record however the block ends; then tabulate.

    A job that resumes later leaves that to its next session: the tasks of an array stop at the same time, and would
    wait for each other until SLURM ends them. `already_done` is only for the counts shown; `group` and `job` are as in
    `sessions.Session`.
    """
    record = SessionFile(run.sessions, [trial.name for trial in trials], group, job)
    with SessionProgress(trials, already_done, record.beat, _refresher(run)) as watcher:
        session = RunningSession(run, trials, record, watcher)
        try:
            yield session
        finally:
            record.end(session.stopped_by if session.unfinished else "done")
    # Outside of SLURM the run is held by this launch alone: nobody else will tabulate, whatever records say.
    if job is None or not (session.unfinished or run.running()):
        tabulate(run)


def _refresher(run: RunDirectory) -> Callable[[], None]:
    """Return what refreshes TensorBoard's aggregates; where it cannot, it says so once, and training continues."""
    from launcher.tables.tensorboard import refresh_aggregates

    reported: set[str] = set()

    def refresh() -> None:
        try:
            refresh_aggregates(run)
        except (OSError, UserError) as error:
            if str(error) not in reported:
                say(f"the aggregates for TensorBoard were not updated: {error}")
            reported.add(str(error))

    return refresh


def tabulate(run: RunDirectory) -> None:
    """Write the run's tables and aggregates; one process at a time, so that the last one to write knows all."""
    from launcher.tables.tensorboard import write_aggregates
    from launcher.tables.trials import write_tables

    with run.planning():
        write_aggregates(run)
        write_tables(run)


def tabulate_what_is_new(run: RunDirectory, trials: Iterable[PlannedTrial]) -> None:
    """Tabulate where the tables were not made from the results that there are: who trained was killed before it did."""
    from launcher.tables.trials import are_current

    if any(run.trial(trial.name).result.exists() for trial in trials) and not are_current(run):
        tabulate(run)
