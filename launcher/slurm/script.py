"""Job scripts: their text, and submitting them with sbatch. submitit writes the directives."""

import re
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import submitit

from deepemotion.errors import UserError
from launcher.slurm import environment, sbatch
from launcher.slurm.cluster_profile import ClusterProfile
from launcher.slurm.exit_codes import KILLED_PATTERN, MAX_RESTARTS_AFTER_KILL, ExitCode

# One step with everything the job has on its first node: SLURM's warnings reach steps, not the batch script.
_STEP = (
    'srun --nodes=1 --ntasks=1 --relative=0 --overlap --export=ALL --cpus-per-task="$SLURM_CPUS_PER_TASK" --unbuffered'
)
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

    def __post_init__(self) -> None:
        """Raise UserError where a line of the script would not stay one line."""
        for text in (self.name, str(self.folder), self.command, *self.setup):
            require_one_line(text)

    def text(self) -> str:
        """Return the script, as `submit` hands it to sbatch."""
        return self._executor().script(self._step())

    def submit(self, tag: str | None = None) -> str:
        """Submit the script and return the job's id; raises as `sbatch.submit` does.

        `tag` becomes the end of the job's name, by which the queue can be asked for this very job.
        """
        named = replace(self, name=f"{self.name}-{tag or secrets.token_hex(3)}")
        return sbatch.submit(named.text(), named.job_name, self.folder or Path())

    @property
    def job_name(self) -> str:
        """Return the job's name in SLURM: that of the script, without characters that its commands treat specially."""
        return re.sub(r"[^A-Za-z0-9._+-]", "_", self.name)

    def _step(self) -> str:
        return f"{_STEP} {self.command}"

    def _path(self) -> list[str]:
        return [f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"] if self.folder else []

    def _executor(self) -> "_Executor":
        executor = _Executor(Path())
        profile: dict[str, Any] = self.profile.parameters()
        further: dict[str, Any] = {"no-kill": True}
        if self.array:
            further["array"] = self.array
        log = "%j.log" if self.array is None else "%A_%a.log"
        further["output"] = f"slurm-{log}" if self.folder is None else _pattern(self.folder) + f"/{log}"
        if self.after:
            further["dependency"] = f"afterok:{':'.join(self.after)}"
            # A job whose packing failed could never start, and would wait in the queue forever.
            further["kill-on-invalid-dep"] = "yes"
        executor.update_parameters(
            **{
                **profile,
                "job_name": self.job_name,
                "setup": [*self._path(), *self.setup, *self.profile.setup_lines(), environment.UNSET],
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


def require_one_line(text: str) -> None:
    """Raise UserError where a name, path or command has a character that would end its line in a job script."""
    if any(not character.isprintable() for character in text):
        raise UserError(f"{text!r}: a name or path with line breaks or control characters cannot stand in a job script")


def _pattern(folder: Path) -> str:
    """Return the folder as sbatch's --output takes it: a % of its own is doubled."""
    if "\\" in str(folder):
        raise UserError(f"{folder}: SLURM writes no logs into a folder with a backslash in its path; rename it")
    return str(folder).replace("%", "%%")


class _Executor(submitit.SlurmExecutor):  # type: ignore[misc]
    """submitit's executor for a command instead of a pickled function, so that people can read the scripts."""

    @classmethod
    def affinity(cls) -> int:
        """Claim that SLURM is here: `--dry-run` shows scripts on machines without it, too."""
        return 1

    def script(self, command: str) -> str:
        text: str = self._make_submission_file_text(command, uid="")
        return text
