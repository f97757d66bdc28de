"""The long options of SLURM's sbatch, and which of them a cluster profile may set."""

from deepemotion.errors import did_you_mean

# sbatch(1) of SLURM 22.05, and those added up to 24.11: container-id, oom-kill-step, resv-ports, segment, stepmgr,
# tres-bind and tres-per-task. An older sbatch rejects newer options by itself.
_SBATCH = """
account acctg-freq array batch bb bbf begin chdir cluster-constraint clusters comment constraint container
container-id contiguous core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot dependency
distribution error exclude exclusive export export-file extra-node-info get-user-env gid gpu-bind gpu-freq gpus
gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint hold ignore-pbs input job-name kill-on-invalid-dep
licenses mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nice no-kill no-requeue
nodefile nodelist nodes ntasks ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket oom-kill-step
open-mode output overcommit oversubscribe parsable partition power prefer priority profile propagate qos quiet reboot
requeue reservation resv-ports segment signal sockets-per-node spread-job stepmgr switches test-only thread-spec
threads-per-core time time-min tmp tres-bind tres-per-task uid use-min-nodes verbose wait wait-all-nodes wckey wrap
"""
OPTIONS = frozenset(_SBATCH.split())

# Submission, logs and requeueing depend on these; with wait or test-only sbatch would return no job id.
_LAUNCHER = """
array chdir dependency error export export-file job-name no-kill no-requeue ntasks ntasks-per-node open-mode output
parsable requeue signal test-only wait wrap
"""
LAUNCHERS_OWN = frozenset(_LAUNCHER.split())

# If both were allowed, they could disagree, and the check against the site would use the wrong one.
_PROFILE_KEYS = {
    "account": "account",
    "constraint": "constraint",
    "cpus-per-task": "cpus_per_node",
    "gpus": "gpus_per_node",
    "gpus-per-node": "gpus_per_node",
    "mail-type": "mail_type",
    "mail-user": "mail_user",
    "mem": "memory_gb",
    "nodes": "nodes",
    "partition": "partition",
    "qos": "qos",
    "time": "time",
}

# What a profile for training asks for beside its keys, and a small job of the launcher's own does not need.
_LARGE = """
contiguous core-spec cores-per-socket cpus-per-gpu exclusive extra-node-info gpu-bind gpu-freq gpus-per-socket
gpus-per-task gres-flags mem-per-gpu mincpus ntasks-per-core ntasks-per-gpu ntasks-per-socket sockets-per-node
switches thread-spec threads-per-core tres-bind tres-per-task
"""
LARGE_JOBS_ONLY = frozenset(_LARGE.split())
# Generic resources (gres) that are GPUs or shares of them.
GPU_RESOURCES = frozenset({"gpu", "mps", "shard"})


def problem(name: str) -> str | None:
    """Return why a profile may not set the option `name` (without its two hyphens), or None if it may."""
    if name in _PROFILE_KEYS:
        return f"write it as the profile's own key {_PROFILE_KEYS[name]}"
    if name in LAUNCHERS_OWN:
        return "the launcher sets this option itself"
    if name in ("clusters", "cluster-constraint"):
        return "choose the cluster with the variable SLURM_CLUSTERS, which all of SLURM's commands follow"
    if name not in OPTIONS:
        return "sbatch has no such long option" + did_you_mean(name, OPTIONS - LAUNCHERS_OWN)
    return None
