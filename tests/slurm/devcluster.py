"""A devcluster as tests use it: started, asked and stopped through its commands."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
COMMANDS = CHECKOUT / "slurm" / "devcluster"
# Far more than any command needs: the machine may be busy with other things.
PATIENCE_S = 300


def call(command: str, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run one of the devcluster's commands."""
    call_ = [sys.executable, str(COMMANDS / command), *map(str, words)]
    return subprocess.run(
        call_, **{"capture_output": True, "text": True, "timeout": PATIENCE_S, "check": False} | options
    )


def wait_until(check: Callable[[], object], seconds: float = 120) -> None:
    """Wait until something holds; where it never does, the test fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            pytest.fail(f"after {seconds} s still not: {check.__qualname__}")
        time.sleep(0.2)


class DevCluster:
    """A running cluster. `folder` holds its files, `shared` is an empty folder that all hosts see and all may write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared = folder / "shared"

    def _words(self, words: tuple[object, ...], node: str | None, user: str | None) -> list[str]:
        to = [word for name, value in (("--node", node), ("--user", user)) if value for word in (name, value)]
        return [sys.executable, str(COMMANDS / "run"), str(self.folder), *to, "--", *map(str, words)]

    def run(
        self,
        *words: object,
        node: str | None = None,
        user: str | None = None,
        timeout: float = PATIENCE_S,
        **options: object,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the login node, or on a node, in `shared`; `options` are those of `subprocess.run`."""
        settings = {"capture_output": True, "text": True, "check": False, "cwd": self.shared, "timeout": timeout}
        return subprocess.run(self._words(words, node, user), **settings | options)

    def popen(
        self, *words: object, node: str | None = None, user: str | None = None, **options: object
    ) -> subprocess.Popen[str]:
        """Start such a command. Signals sent to it reach the command itself."""
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": self.shared}
        return subprocess.Popen(self._words(words, node, user), **settings | options)

    def output(self, *words: object, **options: object) -> str:
        """Return what a command printed, without the last line's end; the test fails where the command does."""
        done = self.run(*words, **options)
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout.rstrip("\n")

    def squeue(self, format: str = "%i %T") -> list[str]:
        """Return squeue's line of each job, those that ended a while ago too."""
        return self.output("squeue", "--noheader", "--states=all", f"--format={format}").splitlines()

    def crash(self, node: str) -> None:
        """Let a node's power fail."""
        done = call("crash", self.folder, node)
        assert done.returncode == 0, done.stderr

    def restore(self, node: str) -> None:
        """Start a crashed node, empty; SLURM has heard from it on return."""
        done = call("restore", self.folder, node)
        assert done.returncode == 0, done.stderr


def _flags(options: dict[str, object]) -> list[str]:
    flags = []
    for name, value in options.items():
        word = name.replace("_", "-")
        if value is False:
            flags.append(f"--no-{word}")
        elif value is not True:
            flags += [f"--{word}", str(value)]
    return flags


@contextlib.contextmanager
def started(**options: object) -> Iterator[DevCluster]:
    """Start a cluster that sees the checkout, the Python environment and its interpreter, and stop it at the end.

    Options are those of `up`: `nodes=2`, `max_array_size=5`, `accounting=False`. Where no cluster can run, the test is
    skipped; in CI (environment CI=true) it fails.
    """
    # The path is short, for sockets, and not below /tmp, which is each node's own.
    folder = Path(tempfile.mkdtemp(prefix="dc-", dir="/var/tmp"))
    try:
        install = ["--install"] if os.geteuid() == 0 and shutil.which("apt-get") else []
        able = call("up", folder, "--check", *install, timeout=900)
        if able.returncode != 0:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(able.stderr.strip())
        seen = [word for path in (CHECKOUT, sys.prefix, sys.base_prefix) for word in ("--share", path)]
        up = call("up", folder, *seen, *_flags(options))
        assert up.returncode == 0, up.stderr
        yield DevCluster(folder)
    finally:
        down = call("down", folder)
        shutil.rmtree(folder, ignore_errors=True)
        assert down.returncode == 0, down.stderr
