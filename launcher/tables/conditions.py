"""What the conditions of a run are called, so that trials under different protocols or settings are never mixed."""

import pandas as pd


def names(trials: pd.DataFrame) -> pd.Series:
    """Return for each trial the name of its condition and setup, as figures and TensorBoard's runs are called.

    It is the condition, and where `trials` have several setups of that condition the protocol (`lr-0.001_block`), or
    the setup's hash where the protocols are not enough to tell them apart.
    """
    by_setup = trials.groupby(["condition", "setup"], sort=False)["protocol"]
    protocols = by_setup.agg(lambda of_trials: "+".join(sorted(set(of_trials))).replace(" ", "-")).reset_index()
    of_condition = protocols.groupby("condition")
    setups = of_condition["setup"].transform("size")
    told_apart = of_condition["protocol"].transform("nunique") == setups
    suffix = "_" + protocols["protocol"].where(told_apart, protocols["setup"])
    protocols["name"] = protocols["condition"] + suffix.where(setups > 1, "")
    keys = pd.MultiIndex.from_frame(trials[["condition", "setup"]])
    found: pd.Series = protocols.set_index(["condition", "setup"])["name"].loc[keys].set_axis(trials.index)
    return found
