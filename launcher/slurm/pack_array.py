"""Packing as a job array: each task packs one subject."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from deepemotion.errors import UserError
from launcher.slurm import cluster_profile
from launcher.slurm.script import Script, split_array
from launcher.slurm.site import largest_array

# A packer streams one volume at a time: docs/subject-file.md.
_CPUS, _MEMORY_GB = 2, 2.0


def scripts(
    command: str, subjects: Sequence[str], cluster: str, folder: Path, max_parallel: int | None, only_shown: bool
) -> list[Script]:
    """Return the job scripts that run `command --subjects S` for each subject: several if the site's arrays are short.

    Raises UserError where the cluster profile does not fit the site, and as `largest_array` does.
    """
    if max_parallel is not None and max_parallel < 1:
        raise UserError("--max-parallel must be at least 1")
    profile = cluster_profile.read(cluster).reduced(_CPUS, _MEMORY_GB)
    parts = split_array(len(subjects), largest_array(profile, only_shown), max_parallel)
    return [array_script(command, [subjects[i] for i in tasks], profile, folder, array) for tasks, array in parts]


def array_script(
    command: str,
    subjects: Sequence[str],
    profile: cluster_profile.ClusterProfile,
    folder: Path | None,
    array: str = "",
) -> Script:
    """Return the script of one array. `folder` and `array` are as in `Script`."""
    return Script(
        "de-pack",
        f'{command} --jobs 1 --subjects "${{subjects[$SLURM_ARRAY_TASK_ID]}}"',
        profile,
        folder,
        [f"subjects=({shlex.join(subjects)})"],
        array=array,
    )
