"""Submits a run's trials to SLURM: one job with Ray over its nodes, or a job array with a private Ray per task."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import deepemotion
from deepemotion.console import say, warn
from deepemotion.errors import UserError
from launcher.planning.plan import PlannedTrial
from launcher.run import sessions
from launcher.run.directory import RunDirectory
from launcher.session.private_ray import write_token
from launcher.session.resources import short_of_memory
from launcher.slurm import cluster_profile, queue, site, submissions
from launcher.slurm.cluster_profile import ClusterProfile
from launcher.slurm.queue import JobState
from launcher.slurm.sbatch import UnclearError
from launcher.slurm.script import Script, split_array
from launcher.slurm.submissions import Submission

_ANY_PROFILE = ClusterProfile.model_validate({"time": 60, "cpus_per_node": 1})


@dataclass(frozen=True)
class Options:
    """How to submit: as an array, or as one job with Ray over its nodes.

    `cluster` is a profile's name or path; `max_parallel` limits an array's running tasks.
    """

    array: bool
    cluster: str
    trials_per_task: int = 1
    max_parallel: int | None = None
    snapshot: bool = False


@dataclass(frozen=True)
class Target:
    """Where jobs go: one job's profile, and the site's MaxArraySize, None where this machine has no SLURM."""

    profile: ClusterProfile
    max_array_size: int | None


def target(options: Options, only_shown: bool = False) -> Target:
    """Read the profile and check it against the cluster, before anything is written.

    Raises UserError for options out of range, where the profile does not fit, and where the cluster does not answer
    unless scripts are `only_shown`.
    """
    if options.trials_per_task < 1 or (options.max_parallel is not None and options.max_parallel < 1):
        raise UserError("--trials-per-task and --max-parallel must be at least 1")
    profile = cluster_profile.read(options.cluster)
    if options.array:
        profile = profile.model_copy(update={"nodes": 1})
    return Target(profile, site.largest_array(profile, only_shown))


def submit(run: RunDirectory, trials: Sequence[PlannedTrial], options: Options, to: Target) -> Submission | None:
    """Submit the trials that no job of the run holds yet, and return the submission; None where there are none.

    Raises UserError where sbatch refuses: all, or what follows the arrays that it took, which go on; and where a launch
    outside of SLURM holds the run, since no job could begin.
    """
    with run.locked(shared=True), run.planning():
        queued = queued_trials(run)
        wanted = [trial.name for trial in trials if trial.name not in queued]
        if queued:
            say(
                f"{run.path}: {len(queued)} trials are already queued or running in SLURM:"
                f" deepemotion-launch status {run.path}"
            )
        if not wanted:
            return None
        submission = _new(run, wanted, options)
        parts = scripts(run, submission, to)
        # Written before sbatch is asked: from here on the number is used, whatever happens to this process.
        submissions.write(run, submission)
        write_token(submissions.token_file(run))
        for first, script in parts:
            submission.jobs[_submitted(run, script, first, submission)] = first
            submissions.write(run, submission)
    return submission


def _submitted(run: RunDirectory, script: Script, first: int, submission: Submission) -> str:
    """Submit a script whose first task is `first`; where that is refused, the submission ends before it."""
    try:
        return script.submit(submission.tag)
    except UnclearError as error:
        # The record stays: if the job appears, it trains the tasks from here on, and is found by its name.
        raise UserError(f"submission {submission.number}: {error}") from error
    except UserError as error:
        if not submission.jobs:
            submissions.reject(run, submission)
            raise
        submission.tasks = submission.tasks[:first]
        submissions.write(run, submission)
        jobs = ", ".join(f"job {job}" for job in submission.jobs)
        raise UserError(f"the first {first} tasks are submitted ({jobs}); {error}; retry submits the rest") from error


def preview(run: RunDirectory, trials: Sequence[PlannedTrial], options: Options, to: Target) -> str:
    """Return the scripts that would be submitted."""
    submission = _new(run, [trial.name for trial in trials], options, copy_code=False)
    return "\n\n".join(script.text() for _, script in scripts(run, submission, to))


def warn_of_memory(trials: Sequence[PlannedTrial], to: Target) -> None:
    """Warn if trials need more memory than the profile requests; a site's default is not known."""
    if to.profile.memory_mb is not None:
        warning = short_of_memory(trials, to.profile.memory_mb * 2**20)
        if warning:
            warn(warning)


def queued_trials(run: RunDirectory) -> dict[str, str]:
    """Return the trials that a job in SLURM's queue holds, with the job's id; none where no job was ever submitted.

    Jobs submitted by hand are known once they have started.
    """
    history = submissions.read(run)
    at_work = {one.job: one for one in sessions.read(run.sessions) if one.job is not None and one.alive}
    if not history and not at_work:
        return {}
    states = queue.read_queue()
    adopt(history, states)
    held: dict[str, str] = {}
    for id_, session in at_work.items():
        if id_ in states and states[id_].active:
            held |= dict.fromkeys((name for name in session.trials if not run.trial(name).result.exists()), id_)
    for submission in history:
        for names in submission.tasks:
            job = submission.job_of(names[0])
            if job is not None and job in states and states[job].active:
                held |= dict.fromkeys((name for name in names if not run.trial(name).result.exists()), job)
    return held


def adopt(history: Sequence[Submission], states: Mapping[str, JobState]) -> None:
    """Add to the submissions those of their jobs in the queue whose ids were never known: see `Submission.adopt`.

    Nothing is written: such a job writes its id down by itself when it starts.
    """
    names = {state.name: state.group for state in states.values() if state.active and state.name.startswith("de-")}
    for submission in history:
        submission.adopt(names)


def check_names(run: RunDirectory) -> None:
    """Raise UserError where the run's name or path cannot stand in a job script."""
    Script(f"de-{run.path.name}", str(run.path.resolve()), _ANY_PROFILE, run.slurm.resolve()).text()


def scripts(run: RunDirectory, submission: Submission, to: Target) -> list[tuple[int, Script]]:
    """Return the submission's job scripts, each with its first task: more than one where an array exceeds the limit."""
    folder = run.slurm.resolve()
    words = ["deepemotion-launch", "work", str(run.path.resolve()), "--submission", str(submission.number)]
    setup = [f"export PYTHONPATH={shlex.quote(submission.snapshot)}"] if submission.snapshot else []
    if not submission.array:
        return [(0, Script(submission.job_name(run, 0), shlex.join(words), to.profile, folder, setup))]
    made = []
    for tasks, array in split_array(len(submission.tasks), to.max_array_size, submission.max_parallel):
        first = tasks.start
        command = shlex.join([*words, *(["--first-task", str(first)] if first else [])])
        made.append((first, Script(submission.job_name(run, first), command, to.profile, folder, setup, array=array)))
    return made


def _new(run: RunDirectory, names: list[str], options: Options, copy_code: bool = True) -> Submission:
    size = options.trials_per_task
    return Submission(
        number=submissions.next_number(run),
        mode="slurm-array" if options.array else "slurm",
        tasks=[names[i : i + size] for i in range(0, len(names), size)] if options.array else [names],
        cluster=str(Path(options.cluster).resolve()) if Path(options.cluster).is_file() else options.cluster,
        code=submissions.code_checksum(),
        snapshot=_snapshot(run) if options.snapshot and copy_code else None,
        max_parallel=options.max_parallel,
    )


def _snapshot(run: RunDirectory) -> str:
    """Copy the code to RUN/slurm/code-HASH and return that folder, which jobs put on their PYTHONPATH."""
    folder = (run.slurm / f"code-{submissions.code_checksum()}").resolve()
    if not folder.is_dir():
        from deepemotion.subject_file import kernels

        # The compiled library belongs in the copy, too: built now, it matches the sources.
        kernels.library()
        source = Path(deepemotion.__file__).resolve().parent.parent
        partial = folder.with_name(f".{folder.name}-{os.getpid()}")
        for name in ("deepemotion", "launcher", "configs"):
            if (source / name).is_dir():
                shutil.copytree(source / name, partial / name, ignore=shutil.ignore_patterns("__pycache__"))
        partial.rename(folder)
    return str(folder)
