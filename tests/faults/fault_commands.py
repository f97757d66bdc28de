"""Runs the programs as a user does, in processes that are fast to start, and keeps what they said.

Every command is a process of its own. It is forked from a server that has imported what commands import (never Ray,
which reads its environment when it is imported), since importing torch would take most of a suite's time.
"""

import contextlib
import importlib
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path

MODULES = {"deepemotion": "deepemotion.cli", "deepemotion-launch": "launcher.cli"}
_PRELOADED = ["torch", "pandas", "pyarrow.parquet", "h5py", "nibabel", "pydantic", "typer", "rich.console", "scipy"]
_PRELOADED += ["hypothesis", "torch.utils.tensorboard", "pyarrow.csv", "pyarrow.dataset", "fault_commands"]
# Longer than any command of this suite needs on a busy machine.
PATIENCE_S = 240.0
# What programs say while all is well.
_PROGRESS = re.compile(r"^done |^epoch |^  |^note: |runs? packed|volumes/s$|: up to date|trials to run, ")


@dataclass(frozen=True)
class Done:
    """How a command ended: `code` is None where it did not end in time, negative where a signal ended it."""

    words: tuple[str, ...]
    code: int | None
    stdout: str
    stderr: str

    @property
    def is_traceback(self) -> bool:
        """Say whether somebody who is no programmer would be lost in what it says of its end."""
        lines = [line for line in self.stderr.splitlines() if line.strip() and not _PROGRESS.search(line)]
        too_long = self.code == 2 and len(lines) > 3
        return self.code not in (0, None) and ("Traceback" in self.stderr or too_long or (self.code or 0) < 0)

    def __str__(self) -> str:
        """Return the command, its exit code and its last words."""
        said = " / ".join(self.stderr.strip().splitlines()[-3:])
        return f"{' '.join(self.words)} -> {'no end' if self.code is None else self.code}: {said[-600:]}"


def context() -> ForkServerContext:
    """Return what starts processes from the server."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(_PRELOADED)
    return found


def run(program: str, *arguments: object, patience_s: float = PATIENCE_S) -> Done:
    """Run `deepemotion` or `deepemotion-launch` to its end."""
    words = (program, *map(str, arguments))
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = context().Process(target=_main, args=(words, str(out), str(err)))
        process.start()
        process.join(patience_s)
        code = process.exitcode
        if code is None:
            process.kill()
            process.join()
        said = [path.read_text(errors="replace") if path.exists() else "" for path in (out, err)]
    return Done(words, code, *said)


def run_fresh(program: str, *arguments: object, patience_s: float = PATIENCE_S) -> Done:
    """Run a program by its script, which starts with nothing imported."""
    words = (program, *map(str, arguments))
    script = [str(Path(sys.executable).with_name(program)), *words[1:]]
    try:
        done = subprocess.run(script, capture_output=True, text=True, check=False, timeout=patience_s)
    except subprocess.TimeoutExpired:
        return Done(words, None, "", "")
    return Done(words, done.returncode, done.stdout, done.stderr)


def wait_until(condition: "object", patience_s: float, every_s: float = 0.02) -> bool:
    """Wait until `condition()` is true; return whether that happened in time."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(every_s)
    return False


def _main(words: tuple[str, ...], out: str, err: str) -> None:
    for path, descriptor in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.argv = list(words)
    with contextlib.suppress(KeyboardInterrupt):
        importlib.import_module(MODULES[words[0]]).main()
