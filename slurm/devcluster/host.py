"""The process that is a simulated host: it holds the namespaces of the login node or of a node while it lives.

Run as `host.py FOLDER NAME`. A node is also a process-id namespace whose first process is this one: when it is killed,
the kernel kills all that runs in the node, as a power failure does.
"""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import cgroups
import configuration
import linux
from cluster import LOGIN, Cluster

# What each node has of its own; shared folders that lie below are shown through.
_PRIVATE = {Path("/tmp"): "mode=1777", Path("/dev/shm"): "mode=1777"}
_BRIDGE = "bridge"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _name(cluster: Cluster, host: str) -> None:
    socket.sethostname(host)
    linux.hide_mounts()
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        target = Path("/etc", name)
        if target.exists():
            linux.bind(cluster.file("etc", name), target)
    _ip("link", "set", "lo", "up")


def login(cluster: Cluster) -> NoReturn:
    """Become the login node, with the bridge that connects all hosts."""
    linux.unshare("net", "uts", "mnt")
    _name(cluster, LOGIN)
    _hide(_closed(cluster.visible), cluster.visible)
    _ip("link", "add", _BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{cluster.addresses[LOGIN]}/24", "dev", _BRIDGE)
    _ip("link", "set", _BRIDGE, "up")
    # Whoever asks for an address outside hears at once that there is no way, instead of waiting for an answer.
    _ip("route", "add", "unreachable", "default")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1", encoding="utf-8")
    cluster.be_ready(LOGIN)
    while True:
        signal.pause()


def node(cluster: Cluster, name: str) -> None:
    """Make the namespaces of a node, connect it to the bridge and leave its first process behind."""
    linux.unshare("net", "uts", "ipc", "mnt", "pid")
    connected, connect = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(connect)
        if os.read(connected, 1):
            _first_process(cluster, name)
        os._exit(1)
    cluster.record(name, pid)
    end = f"to-{name}"
    linux.enter(cluster.running(LOGIN).pid, "net")
    # The kernel takes its time to remove the end of a node that crashed.
    subprocess.run(["ip", "link", "del", end], stderr=subprocess.DEVNULL, check=False)
    # Children of this process are in the new process-id namespace already: the node's first process is their 1.
    _ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", "1")
    _ip("link", "set", end, "master", _BRIDGE, "up")
    os.write(connect, b"1")


def _first_process(cluster: Cluster, name: str) -> NoReturn:
    _name(cluster, name)
    linux.mount("proc", "/proc")
    root = cgroups.folder(cluster, name)
    if root:
        # Two nodes of one job would otherwise share the job's folder.
        root.mkdir(exist_ok=True)
        linux.bind(root, root.parent)
    _hide(_closed(cluster.visible) | _PRIVATE, cluster.visible)
    gateway = cluster.addresses[LOGIN]
    _ip("addr", "add", f"{cluster.addresses[name]}/24", "dev", "eth0")
    _ip("link", "set", "eth0", "up")
    _ip("route", "add", "default", "via", gateway)
    cluster.file("spool", name).mkdir(exist_ok=True)
    os.chdir("/")
    cluster.be_ready(name)
    subprocess.Popen(
        ["slurmd", "-D", "-N", name], env={**os.environ, **configuration.environment(cluster)}, start_new_session=True
    )
    while True:
        # The first process inherits all orphans; the node stays up when slurmd ends, as a machine does.
        try:
            os.wait()
        except ChildProcessError:
            time.sleep(1)


def _closed(visible: Sequence[Path]) -> dict[Path, str]:
    """Return the folders that keep other users away from what all shall see, such as root's home."""
    above = [one for path in visible for one in path.parents]
    closed = {one for one in above if not one.stat().st_mode & stat.S_IXOTH}
    return dict.fromkeys(closed, "mode=0755")


def _hide(tops: Mapping[Path, str], visible: Sequence[Path]) -> None:
    """Mount an empty folder on each of `tops`, with these options, and show through what is visible below it."""
    outer = [top for top in tops if not any(top.is_relative_to(other) for other in tops if other != top)]
    hidden = {path: os.open(path, os.O_PATH) for path in visible if any(path.is_relative_to(top) for top in outer)}
    for top in outer:
        linux.mount("tmpfs", str(top), tops[top])
    # The outer folders first, else they would cover the inner ones.
    for path, descriptor in sorted(hidden.items()):
        if path.is_dir() and path.samefile(f"/proc/self/fd/{descriptor}"):
            continue
        path.mkdir(parents=True, exist_ok=True)
        linux.bind(f"/proc/self/fd/{descriptor}", path)


def main() -> None:
    """Become the host that the command line names."""
    folder, name = sys.argv[1:]
    cluster = Cluster.read(Path(folder))
    if name == LOGIN:
        login(cluster)
    else:
        node(cluster, name)


if __name__ == "__main__":
    main()
