"""Runs trials on this machine, in a Ray of its own that ends with the session."""

from collections.abc import Sequence

from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.session import session as work
from launcher.session.private_ray import private_ray
from launcher.session.resources import this_machine


def run(run_directory: RunDirectory, trials: Sequence[PlannedTrial], already_done: int) -> None:
    """Run the trials until all ended or Ctrl-C, as many at once as CPUs, memory and GPUs allow."""
    machine = this_machine()
    with work.session(run_directory, trials, already_done) as session, private_ray(machine):
        session.train(machine)
