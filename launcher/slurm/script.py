"""Job scripts: their text, and submitting them with sbatch. submitit writes the directives."""

import io
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import submitit

from deepemotion.errors import UserError
from launcher.slurm.cluster_profile import ClusterProfile
from launcher.slurm.exit_codes import KILLED_PATTERN, MAX_RESTARTS_AFTER_KILL, ExitCode

# One step with everything the job has on its first node: SLURM's warnings reach steps, not the batch script.
_STEP = 'srun --nodes=1 --ntasks=1 --relative=0 --overlap --cpus-per-task="$SLURM_CPUS_PER_TASK" --unbuffered'
# What each code means: launcher.slurm.exit_codes.
_AFTERWARDS = f"""\
code=$?
# By its own number: the last task of an array has the array's id, and would requeue all tasks.
job="${{SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}}${{SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}}"
again=no
case "$code" in
    # The time limit is near, and at least one epoch finished.
    {ExitCode.REQUEUE}) again=yes ;;
    # SIGTERM from SLURM, which requeues by itself, unless preemption leaves the job time to end.
    {ExitCode.TERMINATED}) [ "$(squeue --noheader --jobs="$job" --format=%T)" != RUNNING ] || again=yes ;;
    # Killed by something else: requeued a few times.
    {KILLED_PATTERN}) [ "${{SLURM_RESTART_COUNT:-0}}" -ge {MAX_RESTARTS_AFTER_KILL} ] || again=yes ;;
esac
[ "$again" = no ] || scontrol requeue "$job"
exit "$code"
"""


@dataclass(frozen=True)
class Script:
    """A job script that has not been submitted yet.

    `command` is shell text; `setup` are lines before the profile's own. `array` is sbatch's notation for the
    indices, such as `0-19%4`, empty if the user will give them; `after` are ids of jobs that must end successfully
    first. `folder` receives logs and scripts, and the job finds this environment's programs; None is for scripts
    submitted by hand, from a shell that finds them.
    """

    name: str
    command: str
    profile: ClusterProfile
    folder: Path | None
    setup: Sequence[str] = ()
    array: str | None = None
    after: Sequence[str] = ()

    def text(self) -> str:
        """Return the script, as `submit` hands it to sbatch."""
        return self._executor().script(self._step())

    def submit(self) -> str:
        """Submit the script and return the job's id. Raises UserError with what sbatch says."""
        try:
            # submitit prints what sbatch says, which is in the error too.
            with _outside_of_jobs(), redirect_stderr(io.StringIO()):
                return self._executor().send(self._step())
        except submitit.core.utils.FailedJobError as error:
            lines = (str(error).strip() or "no reason given").splitlines()
            reason = next((line for line in lines if "error:" in line), lines[-1])
            raise UserError(f"sbatch rejects the job: {reason.removeprefix('sbatch: error: ')}") from error
        except FileNotFoundError:
            raise UserError("sbatch is not on this machine: submit from a login node of the cluster") from None

    def _step(self) -> str:
        return f"{_STEP} {self.command}"

    def _path(self) -> list[str]:
        return [f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"] if self.folder else []

    def _executor(self) -> "_Executor":
        executor = _Executor(self.folder or Path())
        profile: dict[str, Any] = self.profile.parameters()
        further: dict[str, Any] = {"no-kill": True}
        if self.array:
            further["array"] = self.array
        log = "%j.log" if self.array is None else "%A_%a.log"
        further["output"] = f"slurm-{log}" if self.folder is None else str(self.folder / log)
        if self.after:
            further["dependency"] = f"afterok:{':'.join(self.after)}"
            # A job whose packing failed could never start, and would wait in the queue forever.
            further["kill-on-invalid-dep"] = "yes"
        executor.update_parameters(
            **{
                **profile,
                "job_name": self.name,
                "setup": [*self._path(), *self.setup, *self.profile.setup_lines()],
                "teardown": _AFTERWARDS.splitlines(),
                "use_srun": False,
                "stderr_to_stdout": True,
                "additional_parameters": {**profile["additional_parameters"], **further},
            }
        )
        return executor


def split_array(count: int, limit: int | None, max_parallel: int | None) -> list[tuple[range, str]]:
    """Return the tasks of each array for `count` tasks, and sbatch's notation for its indices, which begin at 0.

    `limit` is the site's MaxArraySize, None where one array holds them all; `max_parallel` limits running tasks.
    """
    starts = range(0, count, limit or max(count, 1))
    parts = [range(first, min(first + starts.step, count)) for first in starts]
    parallel = f"%{max_parallel}" if max_parallel else ""
    return [(part, f"0-{len(part) - 1}{parallel}") for part in parts]


@contextmanager
def _outside_of_jobs() -> Iterator[None]:
    """Hide the job that this process may run in: the new one would take over what SLURM's variables say of it."""
    hidden = {name: value for name, value in os.environ.items() if name.startswith("SLURM_") and name != "SLURM_CONF"}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


class _Executor(submitit.SlurmExecutor):  # type: ignore[misc]
    """submitit's executor for a command instead of a pickled function, so that people can read the scripts."""

    @classmethod
    def affinity(cls) -> int:
        """Claim that SLURM is here: `--dry-run` shows scripts on machines without it, too."""
        return 1

    def script(self, command: str) -> str:
        text: str = self._make_submission_file_text(command, uid="")
        return text

    def send(self, command: str) -> str:
        self.folder.mkdir(parents=True, exist_ok=True)
        job_id: str = self._submit_command(command).job_id
        return job_id
