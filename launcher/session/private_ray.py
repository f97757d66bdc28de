"""A Ray that belongs to one session: nobody else can use it, it clashes with no other, and nothing of it stays."""

import fcntl
import logging
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.session.resources import Machine

_PREFIX = "de-ray-"
_OWNER = "owner"
# A raylet that has lost its head for this long ends, and with it the node's part of the session (seconds).
_HEAD_LOST_AFTER_S = 30
# Trials pass small dictionaries: the default would take a third of the memory.
OBJECT_STORE_BYTES = 128 * 2**20


def write_token(path: Path) -> None:
    """Write a new token that only this user can read; one that is there stays, since others may be using it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Linked to its name when it is whole: a job that finds it empty could never use it.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}-", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, path)


@contextmanager
def private_ray(machine: Machine, address: str | None = None, token: Path | None = None) -> Iterator[Path]:
    """Start a Ray that only this process can use, and leave nothing of it behind; give its folder.

    `address` is the IP that other nodes of the same allocation reach, None when there are none; `token` is a file that
    they can read, None for one of this Ray alone. A plain kill (SIGTERM) ends the session as Ctrl-C does.
    """
    with private_folder() as folder, _environment(folder, token or folder / "token"):
        # Ray's core reads the authentication variables when it is imported.
        import ray

        logging.getLogger("ray").setLevel(logging.CRITICAL)
        try:
            ray.init(
                address="local",
                num_cpus=machine.cpus,
                num_gpus=machine.gpus,
                _memory=machine.memory_bytes,
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                _temp_dir=str(folder),
                **({} if address is None else {"_node_ip_address": address}),
            )
            # Ray replaces the handler.
            signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
            yield folder
        finally:
            ray.shutdown()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def private_folder(path: Path | None = None) -> Iterator[Path]:
    """Give a folder for Ray's sockets and logs on this node, and remove it at the end.

    It is short, since socket paths are limited to 107 bytes, and private, since /tmp/ray belongs to whoever came
    first. `path` is the folder that the head has, which Ray wants on every node under the same name. Folders of
    earlier sessions of this user that were killed before they could tidy up are removed first.
    """
    _sweep()
    if path is None:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    else:
        path.mkdir(mode=0o700, exist_ok=True)
    with (path / _OWNER).open("w") as owner:
        fcntl.flock(owner, fcntl.LOCK_SH)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _sweep() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if folder.stat().st_uid != os.getuid():
                continue
            try:
                with (folder / _OWNER).open("r") as owner:
                    fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except FileNotFoundError:
                # Somebody made the folder this moment, and is about to own it.
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
        "RAY_gcs_rpc_server_reconnect_timeout_s": str(_HEAD_LOST_AFTER_S),
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
