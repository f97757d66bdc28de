"""What a devcluster needs of the machine: root, namespaces and Debian packages."""

import contextlib
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from configuration import PATH
from errors import UserError

_PACKAGES = {"ip": "iproute2", "munged": "munge", "slurmctld": "slurmctld", "slurmd": "slurmd", "sinfo": "slurm-client"}
_ACCOUNTING = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}
_POLICY = Path("/usr/sbin/policy-rc.d")
_DPKG = Path("/var/lib/dpkg")


def missing_packages(accounting: bool) -> list[str]:
    """Return the Debian packages whose programs are not there."""
    programs = {**_PACKAGES, **(_ACCOUNTING if accounting else {})}
    return [package for program, package in programs.items() if shutil.which(program, path=PATH) is None]


@contextlib.contextmanager
def _no_daemons() -> Iterator[None]:
    """Keep Debian's packages from starting the machine's own daemons; a policy that is there already stays."""
    if _POLICY.exists():
        yield
        return
    _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
    _POLICY.chmod(0o755)
    try:
        yield
    finally:
        _POLICY.unlink()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other devcluster installs: apt-get's updates do not wait, and the policy is the machine's."""
    folder = os.open(_DPKG, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _install(packages: list[str], log: Path) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("wb") as output, _no_daemons():
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            done = subprocess.run(
                ["apt-get", "-o", "DPkg::Lock::Timeout=300", *words],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
            )
            if done.returncode != 0:
                raise UserError(f"apt-get {words[0]} failed; see {log}")


def check_rights() -> None:
    """Raise a `UserError` where this process may not make namespaces."""
    if os.geteuid() != 0:
        raise UserError("a devcluster needs root: it makes namespaces and runs jobs of several users")
    probe = ["unshare", "--net", "--uts", "--ipc", "--mount", "--pid", "--fork", "--mount-proc", "true"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UserError("a devcluster needs Linux with util-linux: there is no unshare") from None
    if done.returncode != 0:
        raise UserError(f"namespaces are not allowed here ({done.stderr.strip()}); a container must be privileged")


def check_packages(accounting: bool, install: bool, log: Path) -> None:
    """Raise a `UserError` that says what is missing; with `install`, missing packages are installed instead."""
    packages = missing_packages(accounting)
    if packages and not install:
        words = f"apt-get install --no-install-recommends {' '.join(packages)}"
        raise UserError(f"packages are missing; install them with --install or: {words}")
    if not packages:
        return
    with _alone():
        if packages := missing_packages(accounting):
            _install(packages, log)
    if left := missing_packages(accounting):
        raise UserError(f"{', '.join(left)} brought no program though installed; see {log}")
