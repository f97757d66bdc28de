"""What a measurement was made on: processor, memory, versions, commit, and how busy the machine was."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
_PACKAGES = ("deepemotion", "h5py", "isal", "nibabel", "numpy", "pandas", "ray", "torch", "zarr")


def description() -> dict[str, Any]:
    """Return the machine: processor, CPUs this process may use, memory, system, where the files lie."""
    return {
        "processor": _field("/proc/cpuinfo", "model name"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024 / 1e9, 1),
        "system": platform.platform(),
        "bfloat16": bfloat16(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and the packages measured, and the commit."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return {**found, "commit": _git("rev-parse", "--short=12", "HEAD") + ("+" if _git("status", "--porcelain") else "")}


def load_average() -> list[float]:
    """Return the load averages over 1, 5 and 15 minutes. Above the number of CPUs, times are longer than alone."""
    return [round(load, 2) for load in os.getloadavg()]


def bfloat16() -> str:
    """Return which instructions for bfloat16 the processor has, `none` where it has none."""
    flags = _field("/proc/cpuinfo", "flags").split()
    return ", ".join(flag for flag in ("amx_bf16", "avx512_bf16") if flag in flags) or "none"


def _field(path: str, name: str) -> str:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    return done.stdout.strip()
