"""Stopping a cluster, whole or half started, and removing what the kernel holds of it."""

import cgroups
from cluster import Cluster
from processes import kill, kill_networks


def stop(cluster: Cluster) -> None:
    """Stop all that the cluster runs; where nothing of it runs, only remove what is left.

    The hosts' mounts, networks and interfaces vanish with their last process. Nothing is asked to end by itself: the
    next `up` starts from nothing.
    """
    recorded = cluster.processes()
    networks = {path.read_text(encoding="utf-8") for path in cluster.file("run").glob("*.ready")}
    # First what users left running on the login node.
    kill_networks(recorded, networks)
    kill(recorded)
    cgroups.remove(cluster)
    for kind in ("process", "ready"):
        for path in cluster.file("run").glob(f"*.{kind}"):
            path.unlink()
