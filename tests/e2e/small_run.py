"""What tests of small runs share."""

import sys
from pathlib import Path

import pandas as pd

LAUNCH = Path(sys.executable).with_name("deepemotion-launch")
QUICK = ("--set", "train.epochs=2", "--set", "data.drop_overlaps=false")


def table(run):
    return pd.read_parquet(run / "tables" / "trials.parquet")
