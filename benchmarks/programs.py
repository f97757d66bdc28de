"""Runs the project's programs as a user does, and takes their time."""

import os
import resource
import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.machine import ROOT


class ProgramError(Exception):
    """A program failed; its last words are the text."""


def path(name: str) -> str:
    """Return the program of the project's own environment, else of PATH."""
    own = ROOT / ".venv" / "bin"
    found = shutil.which(name, path=os.pathsep.join((str(own), os.environ.get("PATH", os.defpath))))
    if found is None:
        raise ProgramError(f"{name}: not installed; make bench installs it")
    return found


def run(name: str, *words: object) -> tuple[float, float]:
    """Run a program to its end; return its seconds by the clock and of the processor."""
    before, started = _children(), time.perf_counter()
    done = subprocess.run([path(name), *map(str, words)], capture_output=True, text=True, check=False, cwd=ROOT)
    wall, processor = time.perf_counter() - started, _children() - before
    if done.returncode:
        raise ProgramError(f"{name} {' '.join(map(str, words))}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return wall, processor


def start(name: str, *words: object, log: Path) -> subprocess.Popen[bytes]:
    """Start a program, whose output goes to `log`."""
    with log.open("wb") as file:
        return subprocess.Popen([path(name), *map(str, words)], stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)


def repeat(rounds: int, name: str, *words: object) -> tuple[list[float], str]:
    """Run a program several times, after once that does not count; return its seconds, and its processor's as text."""
    run(name, *words)
    times = [run(name, *words) for _ in range(rounds)]
    return [wall for wall, _ in times], f"processor {min(processor for _, processor in times):.2f} s"


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
