"""Runs trials on this machine, in a Ray of its own that ends with the session."""

import logging
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launcher.experiment import Experiment
from launcher.plan import PlannedTrial
from launcher.progress import SessionProgress
from launcher.resources import Machine, share_of, this_machine
from launcher.run_directory import RunDirectory


def run(
    run_directory: RunDirectory,
    experiment: Experiment,
    trials: Sequence[PlannedTrial],
    packed: Path,
    labels: Path,
    watcher: SessionProgress,
) -> None:
    """Run the trials until all ended or Ctrl-C, as many at once as CPUs, memory and GPUs allow."""
    machine = this_machine()
    shares = {trial.name: share_of(trial, experiment.resources, machine) for trial in trials}
    with private_ray(machine):
        from launcher.tuning import run_session

        run_session(run_directory, trials, shares, packed, labels, watcher)


@contextmanager
def private_ray(machine: Machine) -> Iterator[None]:
    """Start a Ray that only this process can use, and leave nothing of it behind.

    Its folder is short, since socket paths are limited to 107 bytes, and private, since /tmp/ray belongs to whoever
    came first. The token keeps other users of the machine from running code as this one.
    """
    folder = Path(tempfile.mkdtemp(prefix="de-ray-"))
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32), encoding="ascii")
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_AIR_NEW_OUTPUT": "0",
        # Set before a worker starts, this also covers the buffers that torch takes while it is imported.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(2**62),
    }
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    # Ray's core reads the authentication variables when it is imported.
    import ray

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    try:
        ray.init(
            address="local",
            num_cpus=machine.cpus,
            num_gpus=machine.gpus,
            _memory=machine.memory_bytes,
            # Trials pass small dictionaries: the default would take a third of the memory.
            object_store_memory=128 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            _temp_dir=str(folder),
        )
        # Ray replaces the handler; a plain kill should end the session as Ctrl-C does.
        signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        yield
    finally:
        ray.shutdown()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
        shutil.rmtree(folder, ignore_errors=True)
