"""`deepemotion-launch tensorboard RUN`: TensorBoard on a run, on this machine only."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import say


def tensorboard(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")],
    port: Annotated[int, typer.Option(help="Port to listen on; 0 chooses a free one.")] = 6006,
) -> None:
    """Start TensorBoard on a run: each trial, and figure 3 live under Custom Scalars. Ctrl-C ends it."""
    from launcher.run.directory import RunDirectory

    logdir = str(RunDirectory.existing(run).path)
    say(f"from another machine: ssh -L {port or 'PORT'}:localhost:{port or 'PORT'} {os.uname().nodename}")
    # TensorBoard has no passwords, so it must listen on loopback only, which is its default.
    words = ["-m", "tensorboard.main", "--logdir", logdir, "--port", str(port)]
    os.execv(sys.executable, [sys.executable, *words])
