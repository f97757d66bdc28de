"""An additional node of a session's Ray: joins the head and cleans up when either of them ends."""

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Never

import psutil

from deepemotion.console import EXIT_FAILED, warn
from launcher.session.private_ray import HEAD_LOST_AFTER_S, OBJECT_STORE_BYTES, private_folder
from launcher.slurm import allocation, environment

# What the head's process writes to this one's standard input at the end of the session.
LEAVE = b"leave\n"
_PR_SET_CHILD_SUBREAPER = 36
_LOG_LINES = 10
# What makes a terminal change colour (ECMA-48, control sequences).
_COLOURS = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_ANSWER_S = 10
# SLURM gives the processes of a cancelled step only its KillWait, which is 5 s at some sites.
_LEAVE_S = 2
# How often a node joins, and how it watches the head (seconds).
_ATTEMPTS = 2
_LOOK_EVERY_S, _LOST_AFTER_S = 5.0, float(HEAD_LOST_AFTER_S)


def serve(head: str, folder: Path) -> int:
    """Give this node's share of the job to the Ray at `head` (IP:port) until told to stop; return the exit code.

    Ray's processes end when the head is gone. The job has then lost the node that controls it. SLURM treats this as the
    loss of any node and leaves the job idle, so this node requeues it. A node whose Ray ends while the head is alive
    joins once more; then the session runs without it, but it still watches the head.
    """
    # The warning before a time limit reaches every process of the job, and ends those that do not handle it.
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_leave_when_told, daemon=True).start()
    # Orphaned Ray processes become children of this one, so that they can be found and ended.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if not _answers(head):
        warn(f"the session's head does not answer at {head}: is traffic between nodes blocked? This node is left out")
        return EXIT_FAILED
    machine = allocation.granted_machine(os.environ)
    words = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
        f"--address={head}",
        f"--node-ip-address={allocation.address_towards(head.rpartition(':')[0])}",
        f"--num-cpus={machine.cpus}",
        f"--num-gpus={machine.gpus}",
        f"--memory={machine.memory_bytes}",
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        # Ports from a fixed range would clash with those of another session on the same node.
        "--min-worker-port=0",
        "--max-worker-port=0",
    ]
    for attempt in range(1, _ATTEMPTS + 1):
        _take_part(words, folder)
        if not _answers(head):
            break
        again = "joining once more" if attempt < _ATTEMPTS else "the session continues without it"
        warn(f"this node's Ray has ended early; {again}")
    else:
        _wait_until_lost(head)
    warn(f"the head of the session at {head} is gone; requeueing the job")
    requeue = ["scontrol", "requeue", allocation.job_id(os.environ)]
    return subprocess.run(requeue, env=environment.of_commands(), check=False).returncode


def _take_part(words: list[str], folder: Path) -> None:
    """Run this node's Ray until it ends, and show how; nothing is left of it."""
    with private_folder(folder):
        log = folder / "ray-node.log"
        try:
            with log.open("wb") as output:
                ray = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
            ray.wait()
            # Not reached if the session ends normally: Ray's messages do not matter then.
            printed = _COLOURS.sub("", log.read_text(encoding="utf-8", errors="replace"))
            warn("\n".join(printed.splitlines()[-_LOG_LINES:]))
        finally:
            _end_children()


def _wait_until_lost(head: str) -> None:
    """Return once the head has not answered for as long as Ray waits: one that ends as it should says so before."""
    answered = time.monotonic()
    while time.monotonic() - answered < _LOST_AFTER_S:
        time.sleep(_LOOK_EVERY_S)
        if _answers(head):
            answered = time.monotonic()


def _answers(head: str) -> bool:
    host, _, port = head.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()
    except OSError:
        return False
    return True


def _leave_when_told() -> None:
    # Python aborts at its end if a thread still waits for its own standard input.
    said = b""
    while part := os.read(0, len(LEAVE)):
        said += part
        if said.endswith(LEAVE):
            os.kill(os.getpid(), signal.SIGTERM)
    # If the input merely ends, the head's node may have crashed.


def _leave(*_: object) -> Never:
    raise SystemExit(0)


def _end_children() -> None:
    children = psutil.Process().children(recursive=True)
    for child in children:
        _signal(child, signal.SIGTERM)
    _, alive = psutil.wait_procs(children, timeout=_LEAVE_S)
    # Processes started in the meantime are ended as well.
    for child in [*alive, *psutil.Process().children(recursive=True)]:
        _signal(child, signal.SIGKILL)


def _signal(process: psutil.Process, which: int) -> None:
    try:
        process.send_signal(which)
    except psutil.NoSuchProcess:
        return
