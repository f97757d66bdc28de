"""The names of a run's conditions, which keep trials under different protocols or settings apart."""

import pandas as pd


def names(trials: pd.DataFrame) -> pd.Series:
    """Return for each trial the name of its condition and setup, which is that of figures and TensorBoard's runs.

    It is the condition, and where `trials` have several setups of that condition the protocol (`lr-0.001_block`), or
    the setup's hash where the protocols are not enough to tell them apart.
    """
    by_setup = trials.groupby(["condition", "setup"], sort=False)["protocol"]
    protocols = by_setup.agg(lambda of_trials: "+".join(sorted(set(of_trials))).replace(" ", "-")).reset_index()
    of_condition = protocols.groupby("condition")
    setups = of_condition["setup"].transform("size")
    protocols_differ = of_condition["protocol"].transform("nunique") == setups
    suffix = "_" + protocols["protocol"].where(protocols_differ, protocols["setup"])
    protocols["name"] = protocols["condition"] + suffix.where(setups > 1, "")
    keys = pd.MultiIndex.from_frame(trials[["condition", "setup"]])
    by_trial: pd.Series = protocols.set_index(["condition", "setup"])["name"].loc[keys].set_axis(trials.index)
    return by_trial
