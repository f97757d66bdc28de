"""`deepemotion-launch tensorboard RUN`: serves TensorBoard for a run, on this machine only."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from deepemotion.console import say


def tensorboard(
    run: Annotated[Path, typer.Argument(help="Folder of the run: runs/NAME.")],
    port: Annotated[int, typer.Option(help="Port of the web page; 0 chooses a free one.")] = 6006,
) -> None:
    """Start TensorBoard for a run, with figure 3 live under Custom Scalars. Ctrl-C ends it."""
    from launcher.run.directory import RunDirectory

    logdir = str(RunDirectory.existing(run).path)
    say(f"from another machine: ssh -L {port or 'PORT'}:localhost:{port or 'PORT'} {os.uname().nodename}")
    # TensorBoard listens on loopback only by default; it has no passwords.
    words = ["-m", "tensorboard.main", "--logdir", logdir, "--port", str(port)]
    os.execv(sys.executable, [sys.executable, *words])
