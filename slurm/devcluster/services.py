"""Starting hosts and daemons, and waiting until they answer."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import configuration
import linux
from cluster import LOGIN, Cluster
from errors import UserError

# Far more than an idle machine needs: the machine may be busy with other things.
PATIENCE_S = 120


def _environment(cluster: Cluster) -> dict[str, str]:
    # Of another cluster, when this one is started within one of its jobs.
    others = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return {**others, **configuration.environment(cluster)}


def on_login(cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a short command on the login node and return what it printed."""
    login = cluster.running(LOGIN).pid
    try:
        return subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            stdin=subprocess.DEVNULL,
            cwd=cluster.folder,
            env=_environment(cluster),
            preexec_fn=lambda: linux.enter(login, "net", "uts", "mnt"),
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"{words[0]} did not end within 30 s")


def wait_for(cluster: Cluster, name: str, ready: Callable[[], bool]) -> None:
    """Wait until a host or daemon is ready; a `UserError` says that it ended or takes too long, and names its log."""
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        if cluster.process(name) is None:
            raise UserError(f"{name} ended while it started; see {cluster.log(name)}")
        if time.monotonic() > deadline:
            raise UserError(f"{name} was not ready within {PATIENCE_S} s; see {cluster.log(name)}")
        time.sleep(0.05)


def start_host(cluster: Cluster, host: str) -> None:
    """Start the login node or a node; a node's slurmd registers some time later."""
    cluster.ready(host).unlink(missing_ok=True)
    starting = _spawn(cluster, host, [sys.executable, str(Path(__file__).with_name("host.py")), cluster.folder, host])
    # The process of a node that this one starts ends when it has left the node's first process behind.
    if host != LOGIN and not _succeeds(starting):
        raise UserError(f"{host} could not be started; see {cluster.log(host)}")
    wait_for(cluster, host, lambda: cluster.ready(host).exists())


def _spawn(cluster: Cluster, name: str, words: Sequence[str | Path]) -> subprocess.Popen[bytes]:
    """Start a recorded process that outlives this one: a host here, everything else on the login node."""
    login = None if name in cluster.addresses else cluster.running(LOGIN).pid

    def prepare() -> None:
        # Before anything runs that `down` would not find, should this process be killed now.
        cluster.record(name, os.getpid())
        if login:
            linux.enter(login, "net", "uts", "mnt")

    with cluster.log(name).open("ab") as log:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/" if login is None else cluster.folder,
            env=_environment(cluster),
            start_new_session=True,
            preexec_fn=prepare,
        )


def _succeeds(process: subprocess.Popen[bytes]) -> bool:
    try:
        return process.wait(PATIENCE_S) == 0
    except subprocess.TimeoutExpired:
        return False


def _start(cluster: Cluster, name: str, words: Sequence[str | Path], ready: Callable[[], bool]) -> None:
    _spawn(cluster, name, words)
    wait_for(cluster, name, ready)


def start_munge(cluster: Cluster) -> None:
    """Start the daemon by which the hosts know who asks; all of them use its socket, which is a file."""
    socket = Path(configuration.munge_socket(cluster))
    socket.parent.mkdir()
    key = cluster.file("etc", "munge.key")
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(128))
    words = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket}"]
    words += [f"--{kind}-file={cluster.file('run', f'munged.{kind}')}" for kind in ("pid", "seed")]
    _start(cluster, "munged", [*words, f"--log-file={cluster.file('log', 'munged.log')}"], socket.exists)


def start_database(cluster: Cluster) -> None:
    """Make an empty database and start MariaDB and slurmdbd on it."""
    data, temporary = cluster.file("database", "data"), cluster.file("database", "tmp")
    temporary.mkdir()
    # Of its own: a server that starts removes all temporary tables that it finds, those of another cluster too.
    where = ["--no-defaults", "--user=root", f"--datadir={data}", f"--tmpdir={temporary}"]
    words = ["mariadb-install-db", *where, "--skip-test-db", "--auth-root-authentication-method=normal"]
    if not _succeeds(_spawn(cluster, "mariadb-install-db", words)):
        raise UserError(f"the database could not be made; see {cluster.log('mariadb-install-db')}")
    words = ["mariadbd", *where, f"--socket={cluster.file('database', 'socket')}"]
    words += ["--bind-address=127.0.0.1", "--port=3306", f"--pid-file={cluster.file('database', 'pid')}"]
    words += [f"--init-file={cluster.file('etc', 'database.sql')}"]
    # As slurmdbd asks for; what a power failure of the machine would lose may be lost.
    words += ["--innodb-lock-wait-timeout=900", "--innodb-flush-log-at-trx-commit=0"]
    client = ["mariadb", "--no-defaults", "-h127.0.0.1", "-uslurm", "-pslurm", "slurm", "-e", "select 1"]
    _start(cluster, "mariadbd", words, lambda: on_login(cluster, *client).returncode == 0)
    accounts = ["sacctmgr", "--noheader", "list", "cluster"]
    _start(cluster, "slurmdbd", ["slurmdbd", "-D"], lambda: on_login(cluster, *accounts).returncode == 0)
    added = on_login(cluster, "sacctmgr", "--immediate", "add", "cluster", "devcluster")
    if added.returncode != 0:
        raise UserError(f"the cluster could not be added to the database; see {cluster.log('slurmdbd')}")


def start_controller(cluster: Cluster) -> None:
    """Start slurmctld."""
    _start(cluster, "slurmctld", ["slurmctld", "-D"], lambda: on_login(cluster, "scontrol", "ping").returncode == 0)


def wait_until_idle(cluster: Cluster) -> None:
    """Wait until SLURM says of all nodes that they are idle."""
    idle = {f"{node} idle" for node in cluster.nodes}
    deadline = time.monotonic() + PATIENCE_S
    while True:
        states = set(on_login(cluster, "sinfo", "--noheader", "--Node", "--format=%N %T").stdout.splitlines())
        if states == idle:
            return
        if time.monotonic() > deadline:
            said = ", ".join(sorted(states - idle)) or "sinfo says nothing"
            logs = cluster.file("log", "slurmd.*.log")
            raise UserError(f"not all nodes are idle after {PATIENCE_S} s ({said}); see {logs}")
        time.sleep(0.1)
