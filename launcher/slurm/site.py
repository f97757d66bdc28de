"""Whether a cluster profile fits a SLURM cluster.

sbatch rejects some misfits without naming the key, and queues others, such as a time over the limit, forever.
"""

import math
import re
from collections.abc import Iterable

from deepemotion.console import warn
from deepemotion.errors import UserError, did_you_mean
from launcher.slurm.cluster_profile import ClusterProfile, format_time
from launcher.slurm.partitions import Nodes, Partition, Site, read_site

_CONSTRAINT = re.compile(r"[\w.-]+(?:(?P<operator>[&|])[\w.-]+(?:(?P=operator)[\w.-]+)*)?")


def largest_array(profile: ClusterProfile, only_shown: bool = False) -> int | None:
    """Check the profile against the cluster and return its MaxArraySize; None where this machine has no SLURM.

    Raises UserError where the profile does not fit, and where the cluster does not answer. For scripts that are only
    shown, an unreachable cluster is a warning, and nothing is checked.
    """
    try:
        site = read_site()
    except UserError as error:
        if not only_shown:
            raise
        warn(f"warning: {error}; the profile is not checked against the cluster")
        return None
    if site is None:
        return None
    check(profile, site)
    return site.max_array_size


def check(profile: ClusterProfile, site: Site) -> None:
    """Raise UserError, one line, if no partition that the profile names can ever run its jobs."""
    if profile.partition is None and site.routed:
        return
    problems = [_misfit(profile, partition) for partition in _chosen(profile, site)]
    # A job that names several partitions may start in any of them.
    if problems and all(problems):
        raise UserError(f"cluster profile: {problems[0]}")


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
            raise UserError(f"cluster profile: partition {name}: the site has no such partition{hint} (it has {known})")
    return [site.partitions[name] for name in names]


def _misfit(profile: ClusterProfile, partition: Partition) -> str | None:
    """Return why the partition can never run the profile's jobs, or None if it can."""
    where, nodes = f"partition {partition.name}", partition.nodes
    if partition.state != "up":
        return f"{where} is {partition.state} and starts no jobs; name another, or wait for the site"
    if partition.time_min is not None and profile.time_min > partition.time_min:
        return f"{where} allows {format_time(partition.time_min)}; time requests {format_time(profile.time_min)}"
    if not nodes:
        return f"{where} has no nodes"
    cpus, memory_mb = max(group.cpus for group in nodes), max(group.memory_mb for group in nodes)
    if profile.cpus_per_node > cpus:
        return f"{where} has nodes of at most {cpus} CPUs; cpus_per_node requests {profile.cpus_per_node}"
    if profile.memory_mb is not None and profile.memory_mb > memory_mb:
        # Rounded down, so that the number shown can be requested.
        most = math.floor(memory_mb / 102.4) / 10
        return f"{where} has nodes of at most {most:g} GB; memory_gb requests {profile.memory_gb:g}"
    problem = _gpu_misfit(profile, where, nodes) or _feature_misfit(profile, where, nodes)
    if problem:
        return problem
    total, fit = sum(group.count for group in nodes), sum(group.count for group in nodes if _fits(profile, group))
    if profile.nodes > fit:
        which = "" if fit == total else f", {fit} of them with what the profile requests of each"
        return f"{where} has {total} nodes{which}; nodes requests {profile.nodes}"
    return None


def _gpu_misfit(profile: ClusterProfile, where: str, nodes: list[Nodes]) -> str | None:
    most = max(group.gpus_of(profile.gpu_type) for group in nodes)
    if profile.gpus_per_node <= most:
        return None
    of_type = f" of type {profile.gpu_type}" if profile.gpu_type else ""
    if most:
        return f"{where} has nodes of at most {most} GPUs{of_type}; gpus_per_node requests {profile.gpus_per_node}"
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
        # Counts, brackets and parentheses are left to SLURM.
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
