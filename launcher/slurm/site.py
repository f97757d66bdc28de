"""What a SLURM cluster says of its partitions, and whether a cluster profile fits one.

sbatch refuses some misfits in words that name no key, and lets others, such as a time over the limit, wait for ever.
"""

import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field

from deepemotion.console import say
from deepemotion.errors import UserError, did_you_mean
from launcher.slurm.cluster_profile import ClusterProfile, format_time, parse_time

# Partition (a * marks the default), state, time limit, nodes, CPUs, memory in MB, generic resources, features.
_FORMAT = "%P|%a|%l|%D|%c|%m|%G|%f"
# SLURM's own commands try for about a minute before they give up.
_TIMEOUT_S = 90
_SLURMS_MAX_ARRAY_SIZE = 1001
_CONSTRAINT = re.compile(r"[\w.-]+(?:(?P<operator>[&|])[\w.-]+(?:(?P=operator)[\w.-]+)*)?")


@dataclass(frozen=True)
class Nodes:
    """Nodes of one partition that are alike, whatever their state. `gpus` counts a node's by type, "" for untyped."""

    count: int
    cpus: int
    memory_mb: int
    gpus: dict[str, int] = field(default_factory=dict)
    features: frozenset[str] = frozenset()

    def gpus_of(self, wanted: str | None) -> int:
        """Return how many GPUs of a type a node has; of all types for None."""
        return sum(self.gpus.values()) if wanted is None else self.gpus.get(wanted, 0)


@dataclass
class Partition:
    """A partition: `state` is up, down, drain or inact; `time_min` its limit in minutes, None without one."""

    name: str
    default: bool
    state: str
    time_min: int | None
    nodes: list[Nodes] = field(default_factory=list)


@dataclass(frozen=True)
class Site:
    """A cluster. An array's last index is `max_array_size` - 1; `routed`: a plugin may choose a job's partition."""

    partitions: dict[str, Partition]
    max_array_size: int = _SLURMS_MAX_ARRAY_SIZE
    routed: bool = False


def read_site() -> Site | None:
    """Ask sinfo and scontrol; None where there is no sinfo on PATH. Raises UserError where they fail."""
    if shutil.which("sinfo") is None:
        return None
    configuration = dict(re.findall(r"^(\w+) *= (.*?) *$", _ask("scontrol", "show", "config"), re.MULTILINE))
    size = configuration.get("MaxArraySize", "")
    return Site(
        # Without the last two, unlike nodes share a row that shows the least of them (4+), and 1024 CPUs are 1K.
        _partitions(_ask("sinfo", "--noheader", "--all", f"--format={_FORMAT}", "--exact", "--noconvert")),
        int(size) if size.isdecimal() else _SLURMS_MAX_ARRAY_SIZE,
        configuration.get("JobSubmitPlugins", "(null)") != "(null)",
    )


def largest_array(profile: ClusterProfile, only_shown: bool = False) -> int | None:
    """Check the profile against the cluster and return its MaxArraySize; None where this machine knows no SLURM.

    Raises UserError where the profile does not fit, and where the cluster does not answer; a line says so, and nothing
    is checked, for scripts that are only shown.
    """
    try:
        there = read_site()
    except UserError as error:
        if not only_shown:
            raise
        say(f"warning: {error}; the profile is not checked against the cluster")
        return None
    if there is None:
        return None
    check(profile, there)
    return there.max_array_size


def check(profile: ClusterProfile, site: Site) -> None:
    """Raise UserError, one line, where no partition that the profile names could ever run its jobs."""
    if profile.partition is None and site.routed:
        return
    problems = [_misfit(profile, partition) for partition in _chosen(profile, site)]
    # A job that names several partitions starts in any of them.
    if problems and all(problems):
        raise UserError(f"cluster profile: {problems[0]}")


def _ask(*command: str) -> str:
    # SINFO_PARTITION and its like would hide a part of the site.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SINFO_")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} has not answered for {_TIMEOUT_S} s: can SLURM be reached from here?") from None
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        said = next((line.strip() for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}")
        raise UserError(f"{command[0]} fails, so SLURM cannot be reached from here: {said}")
    return done.stdout


def _partitions(rows: str) -> dict[str, Partition]:
    found: dict[str, Partition] = {}
    for row in rows.splitlines():
        try:
            shown, state, limit, count, cpus, memory, gres, features = (part.strip() for part in row.split("|"))
            name = shown.removesuffix("*")
            partition = found.setdefault(name, Partition(name, shown != name, state, _limit(limit)))
            if int(count):
                named = frozenset(features.split(",")) - {"(null)"}
                partition.nodes.append(Nodes(int(count), int(cpus), int(memory), _gpus(gres), named))
        except ValueError as error:
            raise UserError(f"sinfo: its row {row!r} is not of the form {_FORMAT}") from error
    return found


def _limit(text: str) -> int | None:
    return None if text in ("infinite", "n/a") else parse_time(text)


def _gpus(gres: str) -> dict[str, int]:
    """Count the GPUs of `gpu:a100:4(S:0-1),gpu:2,shard:8`; the sockets in parentheses may hold commas."""
    found: dict[str, int] = {}
    for entry in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *parts = entry.split(":")
        if name == "gpu":
            count = int(parts.pop()) if parts and parts[-1].isdecimal() else 1
            kind = parts[0] if parts and parts[0] != "no_consume" else ""
            found[kind] = found.get(kind, 0) + count
    return found


def _chosen(profile: ClusterProfile, site: Site) -> list[Partition]:
    known = ", ".join(site.partitions)
    if profile.partition is None:
        default = [partition for partition in site.partitions.values() if partition.default]
        if not default:
            raise UserError(f"cluster profile: partition: the site has no default; name one of {known}")
        return default
    names = profile.partition.split(",")
    for name in names:
        if name not in site.partitions:
            hint = did_you_mean(name, site.partitions)
            raise UserError(f"cluster profile: partition {name}: the site has none of that name{hint} (it has {known})")
    return [site.partitions[name] for name in names]


def _misfit(profile: ClusterProfile, partition: Partition) -> str | None:
    """Say why the partition can never run the profile's jobs; None where it can."""
    where, nodes = f"partition {partition.name}", partition.nodes
    if partition.state != "up":
        return f"{where} is {partition.state}, it starts no jobs; name another, or wait for the site"
    if partition.time_min is not None and profile.time_min > partition.time_min:
        return f"{where} allows {format_time(partition.time_min)}; time asks {format_time(profile.time_min)}"
    if not nodes:
        return f"{where} has no nodes"
    cpus, memory_mb = max(group.cpus for group in nodes), max(group.memory_mb for group in nodes)
    if profile.cpus_per_node > cpus:
        return f"{where} has nodes of at most {cpus} CPUs; cpus_per_node asks {profile.cpus_per_node}"
    if profile.memory_mb is not None and profile.memory_mb > memory_mb:
        # Rounded down, so that what is shown can be asked for.
        most = math.floor(memory_mb / 102.4) / 10
        return f"{where} has nodes of at most {most:g} GB; memory_gb asks {profile.memory_gb:g}"
    problem = _gpu_misfit(profile, where, nodes) or _feature_misfit(profile, where, nodes)
    if problem:
        return problem
    total, fit = sum(group.count for group in nodes), sum(group.count for group in nodes if _fits(profile, group))
    if profile.nodes > fit:
        which = "" if fit == total else f", {fit} of them with what the profile asks of each"
        return f"{where} has {total} nodes{which}; nodes asks {profile.nodes}"
    return None


def _gpu_misfit(profile: ClusterProfile, where: str, nodes: list[Nodes]) -> str | None:
    most = max(group.gpus_of(profile.gpu_type) for group in nodes)
    if profile.gpus_per_node <= most:
        return None
    of_type = f" of type {profile.gpu_type}" if profile.gpu_type else ""
    if most:
        return f"{where} has nodes of at most {most} GPUs{of_type}; gpus_per_node asks {profile.gpus_per_node}"
    kinds = ", ".join(sorted({kind or "untyped ones" for group in nodes for kind in group.gpus}))
    return f"{where} has no GPUs{of_type}" + (f"; it has {kinds}" if kinds else "")


def _feature_misfit(profile: ClusterProfile, where: str, nodes: list[Nodes]) -> str | None:
    if any(_has_features(profile.constraint, group.features) for group in nodes):
        return None
    known = ", ".join(sorted(frozenset[str]().union(*(group.features for group in nodes)))) or "none"
    return f"{where} has no node with the features of constraint {profile.constraint}; its features are: {known}"


def _has_features(constraint: str | None, features: Iterable[str]) -> bool:
    match = _CONSTRAINT.fullmatch(constraint or "")
    if match is None:
        # Counts, brackets and parentheses are SLURM's to judge.
        return True
    names = re.split("[&|]", match[0])
    return any(name in features for name in names) if match["operator"] == "|" else set(names) <= set(features)


def _fits(profile: ClusterProfile, group: Nodes) -> bool:
    return (
        group.cpus >= profile.cpus_per_node
        and group.memory_mb >= (profile.memory_mb or 0)
        and group.gpus_of(profile.gpu_type) >= profile.gpus_per_node
        and _has_features(profile.constraint, group.features)
    )
