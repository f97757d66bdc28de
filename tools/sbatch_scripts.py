"""Write slurm/*.sbatch, the scripts for submitting by hand: what the launcher generates, with $@ for the run."""

import sys
from pathlib import Path

from deepemotion import config_files
from deepemotion.dataset.description import Dataset
from launcher.slurm.cluster_profile import ClusterProfile
from launcher.slurm.pack_array import array_script
from launcher.slurm.script import Script

PACK = 'deepemotion pack "$@"'
WORK = 'deepemotion-launch work "$@"'
_HEADS = {
    "train_ray": """# Train a whole run in one job, with Ray over its nodes:
#     deepemotion-launch --all-subjects --config paper --data packed --labels labels.tsv --name paper --plan-only
#     sbatch slurm/train_ray.sbatch runs/paper
""",
    "train_array": """# Train a run as a job array; index i of n trains every n-th trial, starting at the i-th:
#     deepemotion-launch --all-subjects --config paper --data packed --labels labels.tsv --name paper --plan-only
#     sbatch --array=0-19 slurm/train_array.sbatch runs/paper
""",
    "pack_array": """# Pack StudyForrest, one array task per subject:
#     sbatch --array=0-18 slurm/pack_array.sbatch studyforrest/ --dataset studyforrest --out packed
""",
}
_NOTE = """# Submit it from a shell that finds `deepemotion-launch`. Adapt the resources to your site.
# `deepemotion-launch ... --on slurm|slurm-array --dry-run` prints the same from a cluster profile.
"""


def scripts() -> dict[str, str]:
    """Return the text of each script by its name."""
    profile = ClusterProfile.model_validate({"time": 720, "cpus_per_node": 8, "gpus_per_node": 1, "memory_gb": 32})
    packing = ClusterProfile.model_validate({"time": 120, "cpus_per_node": 2, "memory_gb": 2})
    study = Dataset.read(config_files.find("studyforrest", "datasets"))
    made = {
        "train_ray": Script("de-train", WORK, profile.model_copy(update={"nodes": 2}), None).text(),
        "train_array": Script("de-train", WORK, profile, None, array="").text(),
        "pack_array": array_script(PACK, study.subjects, packing, None).text(),
    }
    shebang = "#!/bin/bash\n"
    return {
        name: f"{shebang}{_HEADS[name]}{_NOTE}{text.removeprefix(shebang)}\n".replace("\n\n\n", "\n\n")
        for name, text in made.items()
    }


if __name__ == "__main__":
    for name, text in scripts().items():
        Path(sys.argv[1], f"{name}.sbatch").write_text(text, encoding="utf-8")
