"""Running a user's command on a host as if it had been called there."""

import os
import pwd
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import configuration
import linux
from cluster import LOGIN, Cluster
from errors import UserError

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def run(cluster: Cluster, host: str, user: str | None, command: Sequence[str]) -> NoReturn:
    """Run a command on a host as a user, from the working directory, and end as it ends.

    On the login node this process becomes the command, so signals and job control are the command's. On a node, which
    has process ids of its own, the command is a child that gets the signals sent to this process.
    """
    process = cluster.running(host)
    account = _account(user) if user else None
    where = Path.cwd()
    environment = {**os.environ, **configuration.environment(cluster)}
    if account:
        environment |= {"USER": account.pw_name, "LOGNAME": account.pw_name, "HOME": account.pw_dir}
    # Python ignores the first and `end_with` catches the second; the command shall do neither.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if host != LOGIN:
        _go_on_in_child(process.pid)
    linux.enter(process.pid, *(("net", "uts", "mnt") if host == LOGIN else ("net", "uts", "ipc", "mnt")))
    try:
        os.chdir(where)
    except OSError:
        raise UserError(f"{where} is not seen on {host}; name it with up --share") from None
    if account:
        os.initgroups(account.pw_name, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    if host != LOGIN:
        # Only now: a change of user takes it back.
        linux.die_with_parent()
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        raise UserError(f"{command[0]}: {error.strerror}") from None


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise UserError(f"no user {user} on this machine: SLURM runs jobs of users with an account only") from None


def _go_on_in_child(pid: int) -> None:
    """Return in a child with the process ids of `pid`'s namespace; here pass on signals and exit as the child does."""
    # Blocked before the fork, so that none that comes between is lost.
    waited = {*_FORWARDED, signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited)
    linux.enter(pid, "pid")
    child = os.fork()
    if child == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    while True:
        received = signal.sigwaitinfo(waited)
        if received.si_signo == signal.SIGCHLD:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                sys.exit(code if code >= 0 else 128 - code)
        elif received.si_code <= 0:
            # Sent by a process; what the terminal sends (a positive code) the child gets itself.
            os.kill(child, received.si_signo)
