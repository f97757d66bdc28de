"""The configuration files of SLURM and of the hosts, as text."""

import os
import stat
from pathlib import Path

import cgroups
from cluster import LOGIN, Cluster

# Debian's daemons lie where only root's PATH may lead.
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"

# Short waits, so that what takes minutes on a real cluster is over in seconds.
_CONTROLLER = """\
ClusterName=devcluster
SlurmctldHost={login}({address})
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits until its first credential has expired: 120 s unless told otherwise.
AuthInfo=socket={munge},cred_expire=5
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmctldSyslogDebug=quiet
SlurmdSpoolDir={folder}/spool/%n
SlurmdPidFile={folder}/run/slurmd.%n.pid
SlurmdLogFile={folder}/log/slurmd.%n.log
SlurmdSyslogDebug=quiet
# The machine's real CPUs and memory need not suffice for what the nodes promise.
SlurmdParameters=config_overrides
ProctrackType=proctrack/{proctrack}
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=100
MaxArraySize={max_array_size}
MessageTimeout=20
SlurmctldTimeout=30
SlurmdTimeout=10
MinJobAge=300
ReturnToService=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
PriorityType=priority/basic
# A job that no partition would ever run is refused at once.
EnforcePartLimits=ALL
{accounting}{gres}\
NodeName={nodes} CPUs={cpus} RealMemory={memory_mb}{node_gres} State=UNKNOWN
PartitionName=DEFAULT Nodes=ALL DefaultTime=01:00:00 MaxTime=INFINITE State=UP
PartitionName=main Default=YES PriorityTier=10 PreemptMode=OFF
PartitionName=low PriorityTier=1 PreemptMode=REQUEUE
PartitionName=patient PriorityTier=1 PreemptMode=REQUEUE GraceTime=60
PartitionName=high PriorityTier=100 PreemptMode=OFF
PartitionName=short MaxTime=5 DefaultTime=5 PriorityTier=10 PreemptMode=OFF
"""

_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={login}
# sacct and sacctmgr read the socket from here, not from AuthInfo.
AccountingStoragePass={munge}
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
"""

_NO_ACCOUNTING = """\
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
"""

_DATABASE_DAEMON = """\
AuthType=auth/munge
AuthInfo=socket={munge}
DbdHost={login}
DbdAddr={address}
SlurmUser=root
PidFile={folder}/run/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=3306
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
"""

_DATABASE = """\
CREATE DATABASE slurm;
CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
GRANT ALL ON slurm.* TO 'slurm'@'127.0.0.1';
"""


def munge_socket(cluster: Cluster) -> str:
    """Return the path of munge's socket, which all hosts share: it is a file."""
    return str(cluster.file("run", "munge", "socket"))


def files(cluster: Cluster) -> dict[str, str]:
    """Return the files below `etc` and their texts; `slurmdbd.conf` must be private to be accepted."""
    settings = cluster.settings
    words = {
        "login": LOGIN,
        "address": cluster.addresses[LOGIN],
        "folder": cluster.folder,
        "munge": munge_socket(cluster),
        "nodes": ",".join(cluster.nodes),
        "cpus": settings.cpus,
        "memory_mb": settings.memory_mb,
        "max_array_size": settings.max_array_size,
        "proctrack": "cgroup" if cgroups.freezer() else "linuxproc",
        "gres": "GresTypes=gpu\n" if settings.gpus else "",
        "node_gres": f" Gres=gpu:{settings.gpus}" if settings.gpus else "",
    }
    accounting = (_ACCOUNTING if settings.accounting else _NO_ACCOUNTING).format(**words)
    devices = "".join(f"Name=gpu File={device}\n" for device in gpu_devices(cluster))
    hosts = "".join(f"{address} {host}\n" for host, address in cluster.addresses.items())
    root = cgroups.freezer()
    mountpoint = f"CgroupMountpoint={root.parent}\n" if root else ""
    return {
        "slurm.conf": _CONTROLLER.format(**words, accounting=accounting),
        "slurmdbd.conf": _DATABASE_DAEMON.format(**words),
        "gres.conf": "AutoDetect=off\n" + devices,
        "cgroup.conf": f"CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n{mountpoint}",
        "database.sql": _DATABASE,
        "hosts": "127.0.0.1 localhost\n" + hosts,
        # Refused at once: a name server that is silent makes gRPC, and so Ray, wait for its time limit.
        "resolv.conf": "nameserver 127.0.0.1\n",
        "nsswitch.conf": _names(),
    }


def write(cluster: Cluster) -> None:
    """Write all configuration files and make the simulated GPUs."""
    for name, text in files(cluster).items():
        path = cluster.file("etc", name)
        path.touch(mode=0o600 if name == "slurmdbd.conf" else 0o644)
        path.write_text(text, encoding="utf-8")
    for device in gpu_devices(cluster):
        # SLURM wants character devices; these are /dev/null by another name.
        os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))


def gpu_devices(cluster: Cluster) -> list[str]:
    """Return the paths of the simulated GPUs; SLURM takes a GPU's number from the end of its path."""
    return [str(cluster.file("dev", f"nvidia{number}")) for number in range(cluster.settings.gpus)]


def environment(cluster: Cluster) -> dict[str, str]:
    """Return the variables by which commands find SLURM's programs and this cluster."""
    return {"PATH": PATH, "SLURM_CONF": str(cluster.file("etc", "slurm.conf"))}


def _names() -> str:
    # Other sources of host names, such as systemd-resolved, would ask outside through their socket.
    try:
        lines = Path("/etc/nsswitch.conf").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        lines = []
    return "".join(f"{line}\n" for line in lines if not line.startswith("hosts:")) + "hosts: files dns\n"
