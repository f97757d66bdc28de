"""A cluster profile: what a user describes once about a SLURM site, and the sbatch options it becomes."""

import math
import re
import shlex
from typing import Annotated, Any

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field

from deepemotion import config_files
from deepemotion.config_files import Section
from deepemotion.errors import UserError, did_you_mean, from_validation
from launcher.slurm.sbatch_options import GPU_RESOURCES, LARGE_JOBS_ONLY, problem

# A typing mistake, rather than a site, is larger; SLURM itself counts in 32 bits.
_LARGEST = 10_000_000
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM, D-HH:MM:SS: what sbatch(1) lists for --time.
_TIME = re.compile(r"(?P<days>\d+)-(?P<of_day>\d+(:\d+){0,2})|(?P<plain>\d+(:\d+){0,2})", re.ASCII)


def parse_time(text: str) -> int:
    """Return a time limit as SLURM writes it in minutes, seconds rounded up. Raises ValueError for another form."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a time limit; write minutes, HH:MM:SS or D-HH:MM:SS")
    if match["days"] is not None:
        hours, minutes, seconds = ([int(part) for part in match["of_day"].split(":")] + [0, 0])[:3]
        return -(-(int(match["days"]) * 86400 + hours * 3600 + minutes * 60 + seconds) // 60)
    parts = [int(part) for part in match["plain"].split(":")]
    # One number is minutes and two are MM:SS, so only three numbers begin with hours.
    hours, minutes, seconds = {1: [0, *parts, 0], 2: [0, *parts], 3: parts}[len(parts)]
    return -(-(hours * 3600 + minutes * 60 + seconds) // 60)


def format_time(minutes: int) -> str:
    """Return minutes as `HH:MM:00`, or `D-HH:MM:00` for a day or longer."""
    days, rest = divmod(minutes, 1440)
    return (f"{days}-" if days else "") + f"{rest // 60:02}:{rest % 60:02}:00"


def _time(value: object) -> object:
    return parse_time(value) if isinstance(value, str) else value


def _text(value: object) -> object:
    if isinstance(value, bool | int | float):
        raise ValueError(f"must be text: put it in quotes (YAML reads it as {value!r})")
    return value


def _one_line(value: str) -> str:
    # In the script a second line would be a separate command, or end sbatch's options early.
    if any(character in value for character in "\n\r\0"):
        raise ValueError("must be a single line; a list takes one line per entry")
    return value


def _filled(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty; leave the key out instead")
    return value


def _option_value(value: object) -> object:
    if not isinstance(value, bool | int | float | str):
        raise ValueError("must be a single value: text in quotes, a number, or true")
    return _one_line(value) if isinstance(value, str) else value


Line = Annotated[str, BeforeValidator(_text), AfterValidator(_one_line)]
Word = Annotated[Line, AfterValidator(_filled)]
OptionValue = Annotated[bool | int | float | str, BeforeValidator(_option_value)]


class ClusterProfile(Section):
    """What every job of the launcher requests from the site. None means the site's default."""

    partition: Word | None = None
    account: Word | None = None
    qos: Word | None = None
    constraint: Word | None = None
    gpu_type: Word | None = None
    time_min: Annotated[int, BeforeValidator(_time), Field(alias="time", gt=0, le=_LARGEST)]
    nodes: Annotated[int, Field(ge=1, le=_LARGEST)] = 1
    cpus_per_node: Annotated[int, Field(ge=1, le=_LARGEST)]
    gpus_per_node: Annotated[int, Field(ge=0, le=_LARGEST, validate_default=True)] = 0
    memory_gb: Annotated[float, Field(gt=0, le=_LARGEST)] | None = None
    mail_user: Word | None = None
    mail_type: Word | None = None
    warn_before_end_s: Annotated[int, Field(ge=1, le=65535, validate_default=True)] = 120
    setup: list[Line] = Field(default=[])
    environment: dict[str, Line] = Field(default={})
    extra: dict[str, OptionValue] = Field(default={})

    @pydantic.field_validator("gpus_per_node")
    @classmethod
    def _gpus_of_a_type(cls, gpus: int, others: pydantic.ValidationInfo) -> int:
        if others.data.get("gpu_type") and not gpus:
            raise ValueError("gpu_type is set, so gpus_per_node must be at least 1")
        return gpus

    @pydantic.field_validator("warn_before_end_s")
    @classmethod
    def _warns_before_the_end(cls, seconds: int, others: pydantic.ValidationInfo) -> int:
        if seconds >= others.data.get("time_min", math.inf) * 60:
            raise ValueError(
                f"{seconds} s before the end is before the job starts: time is {others.data['time_min']} minutes"
            )
        return seconds

    @pydantic.field_validator("environment")
    @classmethod
    def _identifiers(cls, environment: dict[str, str]) -> dict[str, str]:
        for name in environment:
            if not _IDENTIFIER.fullmatch(name):
                raise ValueError(f"{name!r} is not a valid name for a shell variable")
        return environment

    @pydantic.field_validator("extra")
    @classmethod
    def _sbatch_options(cls, extra: dict[str, object], others: pydantic.ValidationInfo) -> dict[str, object]:
        for name in extra:
            if reason := problem(name):
                raise ValueError(f"{name}: {reason}")
        if others.data.get("memory_gb") and not extra.keys().isdisjoint(("mem-per-cpu", "mem-per-gpu")):
            raise ValueError("mem-per-cpu and mem-per-gpu: SLURM takes one of these or memory_gb, not both")
        return extra

    def reduced(self, cpus: int, memory_gb: float) -> "ClusterProfile":
        """Return the profile of a small job without GPUs on one node: `cpus` CPUs and `memory_gb` GiB.

        Of the further options those are left out that would ask for GPUs, whole nodes or more CPUs. Where the site
        counts memory by CPU (mem-per-cpu), so does the small job.
        """
        extra = {name: value for name, value in self.extra.items() if name not in LARGE_JOBS_ONLY}
        if "gres" in extra:
            entries = [entry for entry in str(extra.pop("gres")).split(",") if entry.split(":")[0] not in GPU_RESOURCES]
            extra |= {"gres": ",".join(entries)} if entries else {}
        per_cpu = "mem-per-cpu" in extra
        if per_cpu:
            extra["mem-per-cpu"] = f"{math.ceil(memory_gb * 1024 / cpus)}M"
        changes = {"nodes": 1, "cpus_per_node": cpus, "gpus_per_node": 0, "gpu_type": None, "extra": extra}
        return self.model_copy(update={**changes, "memory_gb": None if per_cpu else memory_gb})

    @property
    def memory_mb(self) -> int | None:
        """Memory per node in SLURM's megabytes (2**20 bytes); None for the site's default."""
        return None if self.memory_gb is None else math.ceil(self.memory_gb * 1024)

    def parameters(self) -> dict[str, object]:
        """Return keyword arguments for `update_parameters` of submitit's SlurmExecutor; without setup_lines()."""
        # A false option is left out: sbatch has no --exclusive=False.
        extra = {name: value for name, value in self.extra.items() if value is not False}
        asked: dict[str, object] = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "time": self.time_min,
            "nodes": self.nodes,
            "ntasks_per_node": 1,
            "cpus_per_task": self.cpus_per_node,
            "gpus_per_node": self._gpus(),
            "mem": None if self.memory_mb is None else f"{self.memory_mb}M",
            "mail_user": self.mail_user,
            "mail_type": self.mail_type,
            "signal_delay_s": self.warn_before_end_s,
        }
        # submitit's default work key is its own name, which sites that track work keys reject.
        return {
            **{name: value for name, value in asked.items() if value is not None},
            "wckey": None,
            "additional_parameters": {**extra, "requeue": True},
        }

    def _gpus(self) -> int | str | None:
        if not self.gpus_per_node:
            return None
        return f"{self.gpu_type}:{self.gpus_per_node}" if self.gpu_type else self.gpus_per_node

    def setup_lines(self) -> list[str]:
        """Return the shell lines of a job before its command: the environment's exports, then `setup`."""
        return [f"export {name}={shlex.quote(value)}" for name, value in self.environment.items()] + self.setup


_KEYS = {field.alias or name for name, field in ClusterProfile.model_fields.items()}


def required(on: str, cluster: str | None) -> str:
    """Return the profile's name or path that `--cluster` gives. Raises UserError where it is missing with `--on`."""
    if cluster is None:
        raise UserError(f"--on {on}: name the cluster with --cluster, for instance configs/clusters/mine.yaml")
    return cluster


def read(name_or_path: str) -> ClusterProfile:
    """Read a profile from a path, or a built-in one by name. Raises UserError that names the file and the key."""
    path = config_files.find(name_or_path, "clusters")
    content = config_files.read_yaml(path, verbatim=("time",))
    for key in map(str, content):
        if key not in _KEYS:
            raise UserError(f"{path}: {key}: no such key{did_you_mean(key, _KEYS)}")
    # A key whose values are all commented out has its default.
    values: dict[str, Any] = {key: value for key, value in content.items() if value is not None}
    try:
        return ClusterProfile.model_validate(values)
    except pydantic.ValidationError as error:
        raise from_validation(error, path, ClusterProfile) from error
