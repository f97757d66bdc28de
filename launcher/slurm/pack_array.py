"""Packing as a job array: each task packs one subject."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from deepemotion.errors import UserError
from launcher.slurm import cluster_profile
from launcher.slurm.script import Script
from launcher.slurm.site import largest_array

# A packer streams one volume at a time: docs/subject-file.md.
_ONE_PACKER = {"nodes": 1, "cpus_per_node": 2, "gpus_per_node": 0, "gpu_type": None, "memory_gb": 2.0}


def scripts(
    command: str, subjects: Sequence[str], cluster: str, folder: Path, max_parallel: int | None, only_shown: bool
) -> list[Script]:
    """Return the job scripts that run `command --subjects S` for each subject: several where the site's arrays end.

    Raises UserError where the cluster profile does not fit the site, and as `largest_array` does.
    """
    if max_parallel is not None and max_parallel < 1:
        raise UserError("--max-parallel: give at least 1")
    profile = cluster_profile.read(cluster).model_copy(update=_ONE_PACKER)
    limit = largest_array(profile, only_shown) or len(subjects)
    return [
        array_script(command, subjects[first : first + limit], profile, folder, max_parallel)
        for first in range(0, len(subjects), limit)
    ]


def array_script(
    command: str,
    subjects: Sequence[str],
    profile: cluster_profile.ClusterProfile,
    folder: Path | None,
    max_parallel: int | None = None,
) -> Script:
    """Return the script of one array; without a `folder` it is one to submit by hand, with sbatch --array."""
    parallel = f"%{max_parallel}" if max_parallel else ""
    path = [f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH"] if folder else []
    return Script(
        "de-pack",
        f'{command} --jobs 1 --subjects "${{subjects[$SLURM_ARRAY_TASK_ID]}}"',
        profile,
        folder,
        [*path, f"subjects=({shlex.join(subjects)})"],
        array=f"0-{len(subjects) - 1}{parallel}" if folder else "",
    )
