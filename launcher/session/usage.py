"""How busy this machine is, for TensorBoard: its CPUs, and the GPUs that the session may use."""

import os
import shutil
import socket
import subprocess

import psutil

# nvidia-smi answers in a fraction of this, unless a GPU has failed (seconds).
_PATIENCE_S = 10.0
_ASKED = "index,utilization.gpu,memory.used"


def usage() -> dict[str, float]:
    """Return the use of CPUs (since the last call) and GPUs in percent, and the GPUs' memory in GiB, by name."""
    host = socket.gethostname()
    return {f"{host}: CPUs in %": psutil.cpu_percent()} | {f"{host}: {name}": value for name, value in _gpus().items()}


def _gpus() -> dict[str, float]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    words = [program, f"--query-gpu={_ASKED}", "--format=csv,noheader,nounits"]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible:
        words.append(f"--id={visible}")
    values: dict[str, float] = {}
    try:
        lines = subprocess.run(
            words, capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        ).stdout.splitlines()
        for line in lines:
            index, use, memory = line.split(",")
            values |= {f"GPU {int(index)} in %": float(use), f"GPU {int(index)} memory in GiB": float(memory) / 1024}
    except (OSError, ValueError, subprocess.SubprocessError):
        # A GPU of parts (MIG) has no use of its own.
        return values
    return values
