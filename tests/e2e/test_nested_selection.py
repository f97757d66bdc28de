"""A nested selection as a user runs it: one command, real Ray, and refits that nobody launched."""

import pandas as pd
import pytest

from launcher.run import sessions
from launcher.run.directory import RunDirectory

pytestmark = pytest.mark.slow

# Short runs that overlap nearly whole: blocks and gaps are smaller than those of the real movie, too.
SETTINGS = ("train.epochs=3", "data.drop_overlaps=false", "split.folds=3", "split.block_s=30", "split.gap_s=4")
CHANGES = [word for setting in SETTINGS for word in ("--set", setting)]


def test_one_command_trains_inner_trials_and_the_refits_that_they_choose(launch, command, tmp_path):
    words = ("--subjects", "1", "--no-pooled", "--protocol", "block", "--model", "linear", "--lr", "1e-3,1e-5")
    words += ("--name", "r", "--permutations", "1", "--select", "nested", "--controls", "time", *CHANGES)
    done = launch(*words)
    assert done.returncode == 0, done.stderr
    assert "nested selection: 24 inner trials of 3 epochs, then 6 refits of at most 3: at most 90 epochs" in done.stderr
    assert "36 done, 0 failed, 0 unfinished (6 of controls)" in done.stderr
    run = RunDirectory(tmp_path / "runs" / "r")
    (session,) = sessions.read(run.sessions)
    assert (len(session.trials), session.ended) == (36, "done")
    trials = pd.read_csv(run.tables / "trials.csv")
    assert trials["state"].unique().tolist() == ["done"]
    refits = trials[trials["chosen"].notna()]
    assert sorted(zip(refits["fold"], refits["permutation"], strict=True)) == [
        (f, k) for f in (1, 2, 3) for k in (0, 1)
    ]
    assert trials.loc[trials["chosen"].isna() & trials["control"].isna(), "outer"].notna().all()

    shown = command("deepemotion-launch", "results", run.path)
    assert shown.returncode == 0, shown.stderr
    assert "inside" in shown.stdout
    assert "time" in shown.stdout
    (row,) = pd.read_csv(run.tables / "statistics.csv").to_dict("records")
    assert (row["condition"], row["nested"], row["trials"], row["permutations"]) == ("nested", True, 3, 1)
    assert row["best_control"] == "time"
    checked = command("deepemotion-launch", "verify", run.path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    again = launch(*words)
    assert again.returncode == 0, again.stderr
    assert "36 done, 0 failed, 0 unfinished" in again.stderr
    assert len(sessions.read(run.sessions)) == 1
