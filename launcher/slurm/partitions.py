"""A SLURM cluster's partitions and their nodes, read from sinfo and scontrol."""

import re
import shutil
import subprocess
from dataclasses import dataclass, field

from deepemotion.errors import UserError
from launcher.slurm import environment
from launcher.slurm.cluster_profile import parse_time

# Partition (a * marks the default), state, time limit, nodes, CPUs, memory in MB, generic resources, features.
_FORMAT = "%P|%a|%l|%D|%c|%m|%G|%f"
# SLURM's own commands retry for about a minute before they fail.
_TIMEOUT_S = 90
_SLURMS_MAX_ARRAY_SIZE = 1001


@dataclass(frozen=True)
class Nodes:
    """Identical nodes of one partition, in any state. `gpus` counts a node's GPUs by type, "" if untyped."""

    count: int
    cpus: int
    memory_mb: int
    gpus: dict[str, int] = field(default_factory=dict)
    features: frozenset[str] = frozenset()

    def gpus_of(self, wanted: str | None) -> int:
        """Return how many GPUs of a type each node has; of all types for None."""
        return sum(self.gpus.values()) if wanted is None else self.gpus.get(wanted, 0)


@dataclass
class Partition:
    """A partition: `state` is up, down, drain or inact; `time_min` is its limit in minutes, or None."""

    name: str
    default: bool
    state: str
    time_min: int | None
    nodes: list[Nodes] = field(default_factory=list)


@dataclass(frozen=True)
class Site:
    """A cluster. An array's last index is `max_array_size` - 1; if `routed`, a plugin may choose a job's partition."""

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
        # Without the last two, different nodes share a row with the smallest values (4+), and 1024 CPUs are 1K.
        _partitions(_ask("sinfo", "--noheader", "--all", f"--format={_FORMAT}", "--exact", "--noconvert")),
        int(size) if size.isdecimal() else _SLURMS_MAX_ARRAY_SIZE,
        configuration.get("JobSubmitPlugins", "(null)") != "(null)",
    )


def _ask(*command: str) -> str:
    environ = environment.of_commands()
    try:
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]} has not answered for {_TIMEOUT_S} s: can SLURM be reached from here?") from None
    except OSError as error:
        raise UserError(f"{command[0]} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        reason = next(
            (line.strip() for line in done.stderr.splitlines() if line.strip()), f"exit code {done.returncode}"
        )
        raise UserError(f"{command[0]} fails, so SLURM cannot be reached from here: {reason}")
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
            raise UserError(f"sinfo: its row {row!r} does not have the form {_FORMAT}") from error
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
