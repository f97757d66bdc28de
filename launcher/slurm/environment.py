"""The environment of SLURM's commands and of job scripts: which of a shell's variables they see.

SLURM's commands take options from variables such as SQUEUE_PARTITION or SBATCH_TIMELIMIT. In a user's shell they would
change what the commands answer, or override the cluster profile without a word; inside a job they describe the
surrounding job. Only variables that say where SLURM is pass through. docs/clusters.md lists all of them.
"""

import os
from collections.abc import Mapping

from deepemotion.errors import UserError

_PREFIXES = ("SBATCH_", "SQUEUE_", "SACCT_", "SCANCEL_", "SCONTROL_", "SINFO_", "SALLOC_", "SRUN_", "SLURM_", "SLURMD_")
# The site's configuration, a user's authentication, and the cluster that all commands talk to.
_KEPT = frozenset({"SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_CLUSTERS"})
# Variables by which a shell changes the answers of the commands that job scripts use, or the steps that they start.
_CHANGE_A_SCRIPT = ("SQUEUE_", "SCONTROL_", "SRUN_")
_CHANGE_A_STEP = (
    *("SLURM_CLUSTERS", "SLURM_EXPORT_ENV", "SLURM_TIME_FORMAT", "SLURM_EXIT_ERROR", "SLURM_EXIT_IMMEDIATE"),
    *("SLURM_STDOUTMODE", "SLURM_STDERRMODE", "SLURM_STDINMODE", "SLURM_LABELIO", "SLURM_WAIT", "SLURM_WORKING_DIR"),
)
# For bash, in a job script. A job runs on its own cluster, which needs no name there.
UNSET = " ".join(["unset", *(f'"${{!{prefix}@}}"' for prefix in _CHANGE_A_SCRIPT), *_CHANGE_A_STEP])


def of_commands(shell: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of sbatch, squeue, sacct, scancel, scontrol and sinfo, in a job or outside of one.

    Raises UserError where SLURM_CLUSTERS names several clusters, whose job ids are not distinct.
    """
    clusters = shell.get("SLURM_CLUSTERS", "")
    if "," in clusters or clusters.strip() == "all":
        raise UserError(
            f"SLURM_CLUSTERS={clusters}: name one cluster, since ids of several clusters' jobs may be equal"
        )
    return {name: value for name, value in shell.items() if name in _KEPT or not name.startswith(_PREFIXES)}


def of_steps(shell: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of srun for a further step of the job that this process runs in."""
    # This step's CPU binding names CPUs of this node, and srun would apply it to the new step.
    dropped = (*_CHANGE_A_SCRIPT, "SLURM_CPU_BIND")
    return {name: value for name, value in shell.items() if name not in _CHANGE_A_STEP and not name.startswith(dropped)}
