"""The state of each trial of a run, from its directory, squeue, and sacct for jobs that have left the queue."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from launcher.planning.plan import PlannedTrial
from launcher.run import sessions
from launcher.run.directory import RunDirectory
from launcher.run.replacements import leaves_a_gap, replaced
from launcher.run.sessions import Session
from launcher.run.states import State
from launcher.run.time_left import Course
from launcher.run.trial_files import SECONDS, VALIDATION, read_epochs, read_failure
from launcher.slurm import queue, submissions, submit
from launcher.slurm.queue import JobState
from launcher.slurm.submissions import Submission

_LOG_LINES = 20
# SLURM's state of an ended job -> the state of its unfinished trials, and what to try.
_ENDINGS = {
    "TIMEOUT": ("timed out", "request more time, or a longer warn_before_end_s, in the cluster profile; then retry"),
    "OUT_OF_MEMORY": ("out of memory", "request more memory_gb in the cluster profile; then retry"),
    "NODE_FAIL": ("node failed", "retry"),
    "PREEMPTED": ("preempted", "retry"),
    "CANCELLED": ("cancelled", "retry to resume it"),
    "FAILED": ("stopped", "read the log; then retry"),
}
_ENDED_UNKNOWN = ("stopped", "its job left the queue without a result: read the log; then retry")


@dataclass(frozen=True)
class TrialStatus:
    """A trial's state, and what else is known about it.

    `state` is `done`, `running`, `failed`, `pending`, `requeued`, `preempted`, `timed out`, `cancelled`,
    `out of memory`, `node failed`, `stopped`, `planned` (not submitted) or `replaced` (as
    `states.State` says). `detail` is SLURM's reason for waiting, the reason
    of a failure, or by which trial it was replaced; `hint` what to try; `accuracy` the last epoch's on validation, None
    before the first; `seconds` is how long the finished epochs took; `job_state` what SLURM says of its job, None where
    it was not asked.
    """

    trial: PlannedTrial
    state: str
    detail: str = ""
    hint: str = ""
    epochs: int = 0
    accuracy: float | None = None
    seconds: float = 0.0
    job: str | None = None
    job_state: JobState | None = None
    log: Path | None = None

    @property
    def wrong(self) -> bool:
        """Say whether the trial needs attention."""
        return bool(self.hint)

    @property
    def course(self) -> Course:
        """How far its training is. One that nobody has to finish counts as ended."""
        running, ended = self.state == State.RUNNING, self.state in (State.DONE, State.FAILED, State.REPLACED)
        return Course(self.trial, self.epochs, self.epochs if self.seconds else 0, self.seconds, running, ended)

    @property
    def why(self) -> str:
        """The detail without the job, which tells trials apart that wait or stopped for one reason."""
        return self.detail.removeprefix(f"job {self.job}").lstrip(":; ")

    def last_lines(self) -> list[str]:
        """Return the last lines of the log that explains the problem, none if there is no log."""
        if self.log is None or not self.log.is_file():
            return []
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]


def read(run: RunDirectory) -> list[TrialStatus]:
    """Return the status of every planned trial. Raises UserError where squeue is needed and does not answer."""
    history = submissions.read(run)
    past = sessions.read(run.sessions)
    newest, at_work = sessions.newest_of_each_job(past), sessions.at_work(past)
    plan = run.read_plan()
    asked = queue.is_here() and (history or any(session.job for session in past))
    queued = queue.read_queue_of_owner(run.plan_file) if asked else {}
    submit.adopt(history, queued)
    job_of = _jobs(plan, history, past)
    jobs = {job for job in job_of.values() if job is not None}
    states = _job_states(run, jobs, queued)
    trials = [_status(run, trial, job_of[trial.name], states, newest, at_work) for trial in plan]
    dead = replaced(run, plan)
    known = {trial.name: trial for trial in plan}
    return [_without_duty(one, known[dead[one.trial.name]]) if one.trial.name in dead else one for one in trials]


def _without_duty(status: TrialStatus, by: PlannedTrial) -> TrialStatus:
    """Return the status of a replaced trial: one that did not end needs no attention."""
    counted = status.state == "done" and leaves_a_gap(status.trial, by)
    if not counted and not status.wrong and status.state not in ("planned", "stopped"):
        return status
    return replace(status, state="replaced", detail=f"by {by.name}", hint="", log=None)


def _jobs(
    plan: Iterable[PlannedTrial], submitted: Sequence[Submission], history: Iterable[Session]
) -> dict[str, str | None]:
    """Return the last job of each trial; jobs submitted by hand are known only from their sessions."""
    latest = submissions.last_of_each_trial(submitted)
    worked: dict[str, Session] = {name: session for session in history for name in session.trials}
    known = {job for submission in submitted for job in submission.jobs}
    jobs: dict[str, str | None] = {}
    for trial in plan:
        session, submission = worked.get(trial.name), latest.get(trial.name)
        # Of submissions, the last one counts: the clocks of their nodes may differ by minutes.
        newer = session is not None and (
            submission is None or (session.group not in known and session.started > submission.submitted)
        )
        jobs[trial.name] = session.job if session is not None and newer else None
        if submission is not None and jobs[trial.name] is None and not newer:
            jobs[trial.name] = submission.job_of(trial.name)
    return jobs


def _job_states(run: RunDirectory, jobs: set[str], states: dict[str, JobState]) -> dict[str, JobState]:
    if not jobs or not queue.is_here():
        return {}
    gone = {job for job in jobs if job not in states or not states[job].active}
    # Accounting knows more about an ended job (memory), and the queue forgets it after some minutes.
    accounted = queue.read_accounting(gone, run.slurm / "sacct.json") if gone else {}
    # sacct answers for whole arrays; for tasks that are still in the queue, squeue is right.
    return states | {job: state for job, state in accounted.items() if job in gone}


def _status(
    run: RunDirectory,
    trial: PlannedTrial,
    job: str | None,
    states: dict[str, JobState],
    newest: dict[str | None, Session],
    at_work: dict[str, Session],
) -> TrialStatus:
    directory = run.trial(trial.name)
    epochs = read_epochs(directory, trial, done=False)
    known = TrialStatus(
        trial,
        "stopped" if epochs else "planned",
        epochs=len(epochs),
        accuracy=epochs[-1][VALIDATION] if epochs else None,
        seconds=_seconds(epochs),
        job=job,
        job_state=states.get(job) if job else None,
    )
    if directory.result.exists():
        return replace(known, state="done")
    job_runs = known.job_state is None or known.job_state.state in ("RUNNING", "COMPLETING", "SUSPENDED")
    if trial.name in at_work and job_runs:
        return replace(known, state="running", detail=_place(at_work[trial.name]))
    failure = read_failure(directory)
    # An earlier job's failure does not count while another job is going to try again.
    tried_again = job is not None and known.job_state is not None and known.job_state.active
    if failure is not None and not (tried_again and failure["session"] != str(job).partition("_")[0]):
        reason = failure["reason"]
        return replace(known, state="failed", detail=reason, hint=_hint(reason), log=directory.log_file)
    if job is None:
        return known
    word, detail, hint = _waiting_or_ended(job, known.job_state, newest.get(job))
    return replace(known, state=word, detail=detail, hint=hint, log=run.slurm / f"{job}.log" if hint else None)


def _seconds(epochs: Sequence[Mapping[str, float]]) -> float:
    """Return how long epochs took, 0 where their file does not say so, or nonsense."""
    times = [epoch.get(SECONDS, 0.0) for epoch in epochs]
    return sum(times) if all(math.isfinite(time) and time >= 0 for time in times) else 0.0


def _waiting_or_ended(job: str, state: JobState | None, session: Session | None) -> tuple[str, str, str]:
    """Return the state, detail and hint for an unfinished trial that its job is not training now."""
    if state is None:
        if not queue.is_here():
            return "pending", f"job {job}; SLURM cannot be asked from this machine", ""
        return _ENDED_UNKNOWN[0], f"job {job}", _ENDED_UNKNOWN[1]
    if not state.active:
        word, hint = _ENDINGS.get(state.state, _ENDED_UNKNOWN)
        detail = f"job {job}: {state.state}, exit code {state.exit_code or 'unknown'}"
        return word, f"{detail}, memory {state.memory}" if state.memory else detail, hint
    if state.state == "PENDING":
        again = f", requeued {state.restarts} times" if state.restarts else ""
        detail = f"job {job}: {state.reason or 'no reason given'}{again}"
        if not state.restarts:
            return "pending", detail, ""
        why = session.ended if session is not None else None
        if why == "terminated":
            return "preempted", detail, ""
        return "requeued", f"{detail} ({why or 'its node or process died'})", ""
    if state.state != "RUNNING":
        return "pending", f"job {job}: {state.state}", ""
    if session is not None and session.alive and session.running:
        return "pending", f"job {job} is training other trials", ""
    # Its Ray is being started, or it has not replaced the record of its last attempt yet.
    return "running", f"job {job}: starting", ""


def _place(session: Session) -> str:
    return f"job {session.job} of {session.host}" if session.job else f"pid {session.pid} on {session.host}"


def _hint(reason: str) -> str:
    if "out of memory" in reason.lower():
        return "give each trial more of a GPU (--set resources.gpus_per_trial=1), or a smaller train.batch_size"
    return "fix the cause above, then retry"
