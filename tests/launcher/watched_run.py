"""A run of three trials, and what status says of them."""

from launcher.monitoring import status
from launcher.planning.plan import PlannedTrial

NAMES = ["sub-01_a", "sub-02_b", "pooled_c"]


def planned(name):
    settings = {"train": {"epochs": 5}}
    return PlannedTrial(name, name.split("_")[0], "lr-0.001", "random", None, 0, 1e-3, 0, 2**30, 1.0, settings)


def words(run):
    return {one.trial.name: (one.state, one.detail) for one in status.read(run)}


def epochs(run, name, count):
    row = {"accuracy/validation": 0.5}
    run.trial(name).write_epochs([{"epoch": epoch + 1, **row} for epoch in range(count)])
