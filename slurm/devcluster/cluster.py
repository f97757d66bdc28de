"""A cluster's folder: where everything lies, what was asked for, and which process is which."""

import dataclasses
import hashlib
import json
import os
from pathlib import Path

from errors import UserError
from processes import Process, network, replace_text

LOGIN = "login"
SETTINGS = "devcluster.json"
# Made anew by each `up`; `shared` is the user's and stays.
OWN_FOLDERS = ("etc", "run", "log", "state", "spool", "database", "dev")
# A UNIX socket's path may have 107 bytes, and SLURM adds up to 45 (spool/node10/node10_1234567.4294967291).
LONGEST_FOLDER = 60


@dataclasses.dataclass(frozen=True)
class Settings:
    """What `up` was asked for."""

    nodes: int = 3
    cpus: int = 8
    gpus: int = 2
    memory_mb: int = 6000
    accounting: bool = True
    max_array_size: int = 1001
    share: tuple[str, ...] = ()
    subnet: str = "10.77.0"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A cluster that lies in a folder."""

    folder: Path
    settings: Settings

    @classmethod
    def read(cls, folder: Path) -> "Cluster":
        """Return the cluster that `up` wrote to a folder."""
        folder = folder.resolve()
        try:
            values = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{folder} holds no devcluster; start one with: up {folder}") from None
        return cls(folder, Settings(**{**values, "share": tuple(values["share"])}))

    def write(self) -> None:
        """Write the settings, which also mark the folder as a cluster's."""
        text = json.dumps(dataclasses.asdict(self.settings), indent=2)
        replace_text(self.folder / SETTINGS, text + "\n")

    @property
    def name(self) -> str:
        """What kernel objects outside the namespaces are named by: clusters in other folders have another one."""
        return "devcluster-" + hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:8]

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes."""
        return [f"node{number}" for number in range(1, self.settings.nodes + 1)]

    @property
    def addresses(self) -> dict[str, str]:
        """The IPv4 address of each host: the login node and the nodes."""
        nodes = {node: f"{self.settings.subnet}.{10 + number}" for number, node in enumerate(self.nodes, 1)}
        return {LOGIN: f"{self.settings.subnet}.1", **nodes}

    @property
    def visible(self) -> list[Path]:
        """The folders that all hosts see."""
        return [self.folder, *map(Path, self.settings.share)]

    def file(self, *parts: str) -> Path:
        """Return the path of a file in the folder."""
        return self.folder.joinpath(*parts)

    def log(self, name: str) -> Path:
        """Return the file that holds what a host or daemon printed."""
        return self.file("log", f"{name}.out")

    def ready(self, host: str) -> Path:
        """Return the file that is there once a host has its network and its folders, and names its namespace."""
        return self.file("run", f"{host}.ready")

    def be_ready(self, host: str) -> None:
        """Say that this process's host is ready."""
        replace_text(self.ready(host), network("self") or "")

    def record(self, name: str, pid: int) -> None:
        """Record that this process is the daemon or host of this name."""
        process = Process.of(pid)
        if process:
            process.write(self.file("run", f"{name}.process"))

    def process(self, name: str) -> Process | None:
        """Return the process of the daemon or host of this name, or None where it does not run."""
        process = Process.read(self.file("run", f"{name}.process"))
        return process if process and process.alive() else None

    def running(self, host: str) -> Process:
        """Return the process that holds a host's namespaces; a `UserError` says that there is none."""
        if host not in self.addresses:
            raise UserError(f"no node {host}; there are {', '.join(self.addresses)}")
        process = self.process(host)
        if process is None:
            raise UserError(f"{host} of the cluster in {self.folder} does not run")
        return process

    def processes(self) -> list[Process]:
        """Return all recorded processes that run."""
        names = [path.stem for path in sorted(self.file("run").glob("*.process"))]
        return [process for process in map(self.process, names) if process]
