"""A private Ray for one session: its own token, ports and folder, which nobody else can use and which do not stay.

Ray makes its temporary folder, and all folders below it, writable for everybody. So it gets one inside a folder that
only this user can enter. The token and the compile cache are beside Ray's folder.
"""

import fcntl
import logging
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deepemotion.errors import UserError
from launcher.session.resources import Machine

_PREFIX = "de-ray-"
_OWNER = "owner"
_RAY = "r"
# The path of a socket has at most 107 bytes; this is Ray's longest below the folder in which ours is created.
_SOCKET_BYTES = len(f"/{_PREFIX}12345678/{_RAY}/session_2026-11-28_02-49-19_182462_4194304/sockets/plasma_store")
_LONGEST_TMPDIR = 107 - _SOCKET_BYTES
# A raylet that has lost its head for this long ends, and with it the node's part of the session (seconds).
HEAD_LOST_AFTER_S = 30
# Trials pass small dictionaries: the default would take a third of the memory.
OBJECT_STORE_BYTES = 128 * 2**20


def write_token(path: Path) -> None:
    """Write a new token that only this user can read; an existing one stays, since others may be using it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Linked to its name when it is complete: a job that finds it empty could never use it.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, path)


@contextmanager
def private_ray(token: Path | None = None) -> Iterator[Path]:
    """Prepare a private Ray for the processes started in the block; yield its private folder.

    `token` is a file that the session's other nodes can read, None for a Ray on this node alone.
    """
    with private_folder() as folder, _environment(folder, token or folder / "token"):
        yield folder


def connect(folder: Path, machine: Machine, address: str | None = None) -> str:
    """Start Ray in the folder of `private_ray`, connect this process to it, and return its address (IP:port).

    `address` is the IP at which other nodes of the same allocation reach this one, None if there are none.
    """
    # Ray's core reads the authentication variables when it is imported.
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray.init(
        address="local",
        num_cpus=machine.cpus,
        num_gpus=machine.gpus,
        _memory=machine.memory_bytes,
        object_store_memory=OBJECT_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.CRITICAL,
        _temp_dir=str(folder / _RAY),
        **({} if address is None else {"_node_ip_address": address}),
    )
    return str(ray.get_runtime_context().gcs_address)


@contextmanager
def private_folder(path: Path | None = None) -> Iterator[Path]:
    """Create a folder on this node that only this user can enter, and remove it at the end; yield its path.

    `path` is the folder on the head node, whose path Ray needs on every node. Folders of this user's earlier sessions
    that were killed before they could remove them are removed first. Raises UserError if no folder can be created.
    """
    parent = _parent() if path is None else path.parent
    _remove_abandoned(parent)
    try:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)) if path is None else _own_folder(path)
    except OSError as error:
        raise UserError(
            f"{parent}: cannot create a folder for Ray: {error.strerror}; set TMPDIR to a folder on this machine whose"
            f" path has at most {_LONGEST_TMPDIR} characters"
        ) from error
    with (folder / _OWNER).open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_SH)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _parent() -> Path:
    """Return the folder for temporary files (TMPDIR), or /tmp if sockets could not have a path below it."""
    try:
        folder = Path(tempfile.gettempdir()).resolve()
    except FileNotFoundError as error:
        raise UserError(f"no folder for temporary files ({error.strerror}); set TMPDIR to one that exists") from error
    return folder if len(os.fsencode(folder)) <= _LONGEST_TMPDIR else Path("/tmp")


def _own_folder(path: Path) -> Path:
    """Create a folder of a given path, or take it over from this user's own process; raise OSError otherwise."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        raise PermissionError(1, "it belongs to another user")
    path.chmod(0o700)
    return path


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.is_symlink() or folder.stat().st_uid != os.getuid():
                continue
            try:
                with (folder / _OWNER).open("r") as owner:
                    fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FileNotFoundError:
                # Somebody has just created the folder, and is about to lock it.
                if time.time() - folder.stat().st_mtime < 60:
                    continue
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _environment(folder: Path, token: Path) -> Iterator[None]:
    write_token(token)
    ours = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        # Else torch makes a folder of its own in /tmp, which would stay.
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "torch"),
        "RAY_gcs_rpc_server_reconnect_timeout_s": str(HEAD_LOST_AFTER_S),
        # Set before a worker starts, this also covers the buffers that torch takes while it is imported.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**62),
    }
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
