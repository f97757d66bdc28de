"""What SLURM granted to the job that this process runs in, which may be less than the host has: nodes are shared."""

import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from deepemotion.errors import UserError
from launcher.session.resources import Machine, available_memory, gpu_memory
from launcher.slurm import environment

# Memory on each node that the driver and Ray's own processes need.
_OVERHEAD_BYTES = 2**30


@dataclass(frozen=True)
class Allocation:
    """A job's identity and nodes. `group` is the array's id for a task of an array, else the job's own.

    `task` and `tasks` are the index in the array (from 0) and their number, 0 and 1 for a plain job. `restarts` says
    how often the job was requeued. `machine` is one node's share, the same on every node.
    """

    job: str
    group: str
    task: int
    tasks: int
    restarts: int
    machine: Machine
    node: str
    other_nodes: tuple[str, ...]


def current() -> Allocation:
    """Return the allocation of this process, from SLURM's environment. Raises UserError outside of a job."""
    env = os.environ
    if "SLURM_JOB_ID" not in env:
        raise UserError("this command runs inside SLURM jobs: submit it with sbatch, or launch with --on slurm")
    array = env.get("SLURM_ARRAY_JOB_ID")
    tasks = int(env.get("SLURM_ARRAY_TASK_COUNT", 1))
    if (int(env.get("SLURM_ARRAY_TASK_MIN", 0)), int(env.get("SLURM_ARRAY_TASK_MAX", 0))) != (0, tasks - 1):
        raise UserError("each task trains every n-th trial, so the array needs all indices, such as --array=0-19")
    node = env.get("SLURMD_NODENAME", "")
    return Allocation(
        job=job_id(env),
        group=array or env["SLURM_JOB_ID"],
        task=int(env.get("SLURM_ARRAY_TASK_ID", 0)),
        tasks=tasks,
        restarts=int(env.get("SLURM_RESTART_COUNT", 0)),
        machine=granted_machine(env),
        node=node,
        other_nodes=tuple(name for name in _host_names(env) if name != node),
    )


def job_id(env: Mapping[str, str]) -> str:
    """Return the id of the job, `123_4` for a task of an array, whose SLURM_JOB_ID may be that of the whole array."""
    array = env.get("SLURM_ARRAY_JOB_ID")
    return f"{array}_{env['SLURM_ARRAY_TASK_ID']}" if array else env["SLURM_JOB_ID"]


def granted_machine(env: Mapping[str, str]) -> Machine:
    """Return what a job may use of one node: CPUs, GPUs, and memory minus what Ray itself needs."""
    cpus = int(env.get("SLURM_CPUS_PER_TASK") or env.get("SLURM_CPUS_ON_NODE", "1"))
    visible = env.get("CUDA_VISIBLE_DEVICES", "")
    gpus = 0 if visible in ("", "NoDevFiles") else len(visible.split(","))
    megabytes = int(env.get("SLURM_MEM_PER_NODE", 0)) or int(env.get("SLURM_MEM_PER_CPU", 0)) * cpus
    granted = max(megabytes * 2**20 - _OVERHEAD_BYTES, megabytes * 2**19) or available_memory()
    return Machine(cpus, gpus, min(granted, available_memory()), gpu_memory() if gpus else 0)


def address_towards(other: str) -> str:
    """Return the IP address from which this node reaches `other`, so that `other` can reach it too.

    Host names are not used: they may resolve to loopback or to a network that jobs cannot use.
    """
    family, *_, target = socket.getaddrinfo(other, 9, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        return str(probe.getsockname()[0])


def _host_names(env: Mapping[str, str]) -> list[str]:
    # A container on a single node often has no scontrol.
    if env.get("SLURM_JOB_NUM_NODES", "1") == "1":
        return []
    shown = subprocess.run(
        ["scontrol", "show", "hostnames", env["SLURM_JOB_NODELIST"]],
        env=environment.of_commands(),
        capture_output=True,
        text=True,
        check=True,
    )
    return shown.stdout.split()
