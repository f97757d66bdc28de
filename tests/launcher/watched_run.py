"""A run of three trials, and what status says of them."""

import small_plan

from launcher.monitoring import status

NAMES = ["sub-01_a", "sub-02_b", "pooled_c"]


def planned(name):
    return small_plan.planned(name, name.split("_")[0], protocol="random", train={"epochs": 5})


def words(run):
    return {one.trial.name: (one.state, one.detail) for one in status.read(run)}


def epochs(run, name, count, seconds=1.0):
    row = {"accuracy/train": 1.0, "accuracy/validation": 0.5, "time/epoch": seconds}
    run.trial(name).write_epochs([{"epoch": epoch + 1, **row} for epoch in range(count)])
