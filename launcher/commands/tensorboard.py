"""`deepemotion-launch tensorboard RUN`: TensorBoard on a run, or on trials of it, on this machine only."""

import getpass
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from deepemotion import interrupts
from deepemotion.console import say
from deepemotion.errors import UserError

# How often new epochs of trials are looked for, in seconds.
_UPDATE_EVERY_S = 15.0
# How long TensorBoard may take to start, in seconds.
_STARTED_S = 120.0


def tensorboard(
    run: Annotated[Path, typer.Argument(help="A run's folder, runs/NAME.")],
    port: Annotated[int, typer.Option(help="Port to listen on; 0 chooses a free one.")] = 6006,
    trials: Annotated[
        str | None,
        typer.Option(help="Show each trial with this in its name as a run of its own; * stands for any text."),
    ] = None,
) -> None:
    """Start TensorBoard on a run: figure 3 live, the swept settings, and every trial's curve. Ctrl-C ends it."""
    from launcher.run.directory import RunDirectory

    directory = RunDirectory.existing(run)
    from launcher.run.read_only import with_writable_results
    from launcher.tables.tensorboard import write_aggregates, write_images
    from launcher.tables.trial_folders import TrialFolders, chosen

    with ExitStack() as stack:
        update: Callable[[], None] | None = None
        if trials is None:
            # What a run of an earlier version lacks, and pictures that were drawn since.
            directory = with_writable_results(directory)
            write_aggregates(directory)
            write_images(directory, directory.path / "figures")
            logdir = directory.tensorboard
        else:
            wanted = chosen(directory, trials)
            logdir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deepemotion-tensorboard-")))
            folders = TrialFolders(directory, wanted, logdir)
            folders.update()
            update = folders.update
        raise SystemExit(_serve(logdir, port or _free_port(), update))


def _serve(logdir: Path, port: int, update: Callable[[], None] | None) -> int:
    """Run TensorBoard until it ends or Ctrl-C, and return its exit code; `update` writes what is new."""
    # TensorBoard has no passwords, so it must listen on loopback only, which is its default.
    words = ["-m", "tensorboard.main", "--logdir", str(logdir), "--port", str(port)]
    interrupts.listen()
    with subprocess.Popen([sys.executable, *words]) as server:
        try:
            _say_where(server, port)
            while update is not None:
                try:
                    return server.wait(_UPDATE_EVERY_S)
                except subprocess.TimeoutExpired:
                    _update(update)
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()


def _update(update: Callable[[], None]) -> None:
    try:
        update()
    except UserError as error:
        # What is shown already stays there to look at.
        say(str(error))


def _say_where(server: "subprocess.Popen[bytes]", port: int) -> None:
    """Say how to reach TensorBoard, once it answers."""
    deadline = time.monotonic() + _STARTED_S
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("localhost", port)) == 0:
                say(f"open http://localhost:{port}/?smoothing=0")
                say(f"from another machine, first: {_tunnel(port)}")
                return
        time.sleep(0.2)


def _tunnel(port: int) -> str:
    """Return the command that makes the port of this machine one of another's."""
    user = getpass.getuser()
    login = os.environ.get("SLURM_SUBMIT_HOST", "")
    here = socket.gethostname()
    # A compute node can be reached from the login node alone.
    jump = ["-J", f"{user}@{login}"] if login not in ("", here) else []
    return shlex.join(["ssh", "-N", *jump, "-L", f"{port}:localhost:{port}", f"{user}@{here}"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])
