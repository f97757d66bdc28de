"""Power failures of a node, and its return."""

import re
import shutil
import time

import cgroups
import services
from cluster import LOGIN, Cluster
from errors import UserError
from processes import kill

_PATIENCE_S = 60


def crash(cluster: Cluster, node: str) -> None:
    """End a node and all that runs in it at once; SLURM is not told."""
    if node == LOGIN:
        raise UserError("only a node can crash; the login node ends with down")
    kill([cluster.running(node)])


def restore(cluster: Cluster, node: str) -> str:
    """Start a node that crashed, empty, and return its state once SLURM has heard from it."""
    cluster.running(LOGIN)
    if node not in cluster.nodes:
        raise UserError(f"no node {node}; there are {', '.join(cluster.nodes)}")
    if cluster.process(node):
        raise UserError(f"{node} runs already")
    cgroups.remove(cluster)
    shutil.rmtree(cluster.file("spool", node), ignore_errors=True)
    before, _ = _slurmd(cluster, node)
    services.start_host(cluster, node)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        started, state = _slurmd(cluster, node)
        # A state alone may be from before the crash.
        if started != before and not re.search(r"DOWN|NOT_RESPONDING|\*", state):
            return state.lower()
        if time.monotonic() > deadline:
            log = cluster.file("log", f"slurmd.{node}.log")
            raise UserError(f"{node} is {state.lower()} {_PATIENCE_S} s after its start; see {log}")
        time.sleep(0.2)


def _slurmd(cluster: Cluster, node: str) -> tuple[str, str]:
    """Return when a node's slurmd started and the node's state, as SLURM says; empty where it says nothing."""
    said = services.on_login(cluster, "scontrol", "--oneliner", "show", "node", node).stdout
    values = dict(word.split("=", 1) for word in said.split() if "=" in word)
    return values.get("SlurmdStartTime", ""), values.get("State", "")
