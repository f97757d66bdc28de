"""Runs a session: keeps its record, shows its progress, has its trials trained, and writes the tables at the end."""

import errno
import itertools
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deepemotion.console import say, warn
from deepemotion.errors import UserError
from launcher.planning.plan import PlannedTrial
from launcher.run import selections
from launcher.run.directory import RunDirectory
from launcher.run.sessions import SessionFile
from launcher.session.progress import SessionProgress
from launcher.session.resources import Machine

# What is entered once Ray runs: it is called with Ray's address (IP:port) and the folder of its session on this node.
Joined = Callable[[str, Path], AbstractContextManager[object]]


@dataclass
class RunningSession:
    """A session that has started. `stopped_by` is the reason if something ends it early.

    `lost` is set if Ray could not be kept running, although it was started again.
    """

    run: RunDirectory
    trials: Sequence[PlannedTrial]
    record: SessionFile
    watcher: SessionProgress
    stopped_by: str = "interrupted"
    lost: bool = False

    def train(
        self, machine: Machine, address: str | None = None, token: Path | None = None, joined: Joined | None = None
    ) -> None:
        """Train the trials in a private Ray until all have ended or KeyboardInterrupt, which is not passed on.

        Refits of a nested selection whose inner trials are done then are planned, and trained in the same way. If Ray
        dies, it is started again with what is left, unless it died twice without an epoch in between. With other nodes
        (`joined`) it is not, since they belong to the first. `machine`, `address` and `token` are as in `private_ray`.
        Raises UserError if the run's disk is full, or a file of an inner trial is damaged.
        """
        lost_before = False
        with suppress(KeyboardInterrupt):
            waiting = self._waiting() or self._plan_refits()
            for number in itertools.count(1):
                if not waiting:
                    return
                epochs = self.watcher.epochs
                failure = self._attempt(waiting, number, machine, address, token, joined)
                left = self._waiting()
                if failure is None or not left:
                    lost_before, waiting = False, self._plan_refits()
                    continue
                self.watcher.restarted()
                again = joined is None and (not lost_before or self.watcher.epochs > epochs)
                warn(f"Ray stopped working: {failure}; {'starting it again' if again else 'launch again to resume'}")
                if not again:
                    self.lost, self.stopped_by = True, "Ray stopped working"
                    return
                lost_before, waiting = True, left

    def _plan_refits(self) -> list[PlannedTrial]:
        """Plan the refits that the session's trials were the last inner ones of, and take them as its own."""
        refits = selections.plan_due(self.run, [trial.name for trial in self.trials], self._take)
        if refits:
            say(f"inner trials chose the settings of {len(refits)} trials, which are trained now")
        return refits

    def _take(self, refits: list[PlannedTrial]) -> None:
        """Record refits as the session's own: a job that is killed from here on finds them when it is requeued."""
        self.trials = [*self.trials, *refits]
        self.record.add([refit.name for refit in refits])
        self.watcher.add(refits)

    def _attempt(
        self,
        trials: list[PlannedTrial],
        number: int,
        machine: Machine,
        address: str | None,
        token: Path | None,
        joined: Joined | None,
    ) -> str | None:
        """Train the trials; return None once all have ended, or how Ray was lost and where its output is."""
        from launcher.session.attempt import Attempt, RayLostError, train_once
        from launcher.session.private_ray import private_ray

        with private_ray(token) as folder:
            attempt = Attempt(self, trials, number, machine, address, folder)
            try:
                train_once(attempt, joined)
            except RayLostError as error:
                return f"{error} (output of Ray: {self._keep(attempt.output)})"
        return None

    @property
    def unfinished(self) -> bool:
        """Whether any of the session's trials has neither a result nor a failure, or leads to a refit yet to come."""
        names = [trial.name for trial in self.trials]
        states = (self.run.state(name, running=()) for name in names)
        return "pending" in states or any(one.due for one in selections.progress(self.run, inner=names))

    def _waiting(self) -> list[PlannedTrial]:
        failed = set(self.watcher.failures)
        return [
            trial
            for trial in self.trials
            if trial.name not in failed and not self.run.trial(trial.name).result.exists()
        ]

    def _keep(self, output: Path) -> Path:
        """Copy the output of Ray into the run, and return where it is."""
        kept = self.run.sessions / f"{self.record.session.name}.log"
        # On a full disk the reason is reported all the same.
        with suppress(OSError), output.open("rb") as source, kept.open("ab") as target:
            shutil.copyfileobj(source, target)
        return kept


@contextmanager
def open_session(
    run: RunDirectory,
    trials: Sequence[PlannedTrial],
    already_done: int,
    group: str | None = None,
    job: str | None = None,
) -> Iterator[RunningSession]:
    """Start a session over these trials, close its record however the block ends, and then write the tables.

    A job that will be resumed leaves the tables to its next session: the tasks of an array stop at the same time, and
    would wait for each other until SLURM kills them. `already_done` is only used in the counts shown; `group` and `job`
    are those of `sessions.Session`.
    """
    record = SessionFile(run.sessions, [trial.name for trial in trials], group, job)
    # What a job prints is in SLURM's log of it.
    log = run.sessions / f"{record.session.name}.log" if job is None else None
    before = {trial.name: _epochs_so_far(run, trial) for trial in trials}
    with SessionProgress(trials, already_done, record.beat, _refresher(run), log, before) as watcher:
        session = RunningSession(run, trials, record, watcher)
        try:
            yield session
        finally:
            record.end(session.stopped_by if session.unfinished else "done")
    # Outside of SLURM the run is held by this launch alone: nobody else will tabulate, whatever records say.
    if job is None or not (session.unfinished or run.running()):
        tabulate(run)


def _epochs_so_far(run: RunDirectory, trial: PlannedTrial) -> int:
    """Return how many epochs of a trial are finished, 0 where its file is damaged: its training will say so."""
    with suppress(UserError):
        return len(run.trial(trial.name).read_epochs())
    return 0


def _of_a_full_disk(error: BaseException | None) -> bool:
    """Say whether a full disk, or a used-up quota, is the cause of an error."""
    while error is not None and getattr(error, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
        error = error.__cause__
    return error is not None


def _refresher(run: RunDirectory) -> Callable[[], None]:
    """Return a function that updates TensorBoard's aggregates; it reports an error once and never raises it."""
    from launcher.session.usage import usage
    from launcher.tables.tensorboard import Board

    board = Board(run, usage)
    reported: set[str] = set()

    def refresh() -> None:
        try:
            board.refresh()
        except Exception as error:
            # Whatever it is, no training should end for a chart. A full disk ends the session, which says so itself.
            if not _of_a_full_disk(error) and str(error) not in reported:
                warn(f"the aggregates for TensorBoard were not updated: {error}")
            reported.add(str(error))

    return refresh


def tabulate(run: RunDirectory) -> None:
    """Write the run's tables and aggregates, one process at a time, so that the last one includes every result."""
    from launcher.tables.tensorboard import write_aggregates
    from launcher.tables.trials import write_tables

    with run.planning():
        write_aggregates(run)
        write_tables(run)


def tabulate_what_is_new(run: RunDirectory, trials: Iterable[PlannedTrial]) -> None:
    """Tabulate where the tables were not made from the results that there are: who trained was killed before it did."""
    from launcher.tables.freshness import are_current

    if any(run.trial(trial.name).result.exists() for trial in trials) and not are_current(run):
        tabulate(run)
