"""Refits of a nested selection: planned when their inner trials are done, by whoever has trained these."""

import json
import shutil
from contextlib import contextmanager

import pandas as pd
import pytest
from nested_run import launch, train_here

from deepemotion.errors import UserError
from launcher.checking.run import verify
from launcher.evidence.evidence import write_evidence
from launcher.launching.launch import conclude, plan_run, planned, trials_table, unfinished
from launcher.run import selection_notes, sessions
from launcher.session.session import RunningSession, open_session
from launcher.slurm import job as slurm_job


@contextmanager
def session_without_ray(monkeypatch, run, trials):
    """A session whose attempts train in this process; `rounds` are the names of the trials that each was given."""
    rounds = []

    def attempt(self, waiting, *_):
        rounds.append([trial.name for trial in waiting])
        train_here(self.run, waiting)

    monkeypatch.setattr(RunningSession, "_attempt", attempt)
    with open_session(run, trials, 0) as session:
        yield session, rounds


@pytest.fixture(scope="module")
def trained(tiny_packed, tiny_labels, tmp_path_factory):
    """A run of which all inner trials are done, and nothing else is planned yet."""
    job = launch(tmp_path_factory.mktemp("runs") / "r", tiny_packed, tiny_labels)
    train_here(job.run, plan_run(job))
    return job


@pytest.fixture
def job(trained, tmp_path):
    """A copy of it."""
    shutil.copytree(trained.run.path, tmp_path / "r")
    return launch(tmp_path / "r", trained.packed, trained.labels)


def best_by_hand(run, inner):
    """Return the rate and the epoch of the highest mean validation accuracy, from the inner trials' files."""
    rows = []
    for trial in inner:
        epochs = pd.read_csv(run.trial(trial.name).epochs, sep="\t")
        n = json.loads(run.trial(trial.name).result.read_text())["n_validation"]
        right = (epochs["accuracy/validation"] * n).round()
        rows.append(pd.DataFrame({"rate": trial.learning_rate, "epoch": epochs["epoch"], "right": right, "n": n}))
    sums = pd.concat(rows).groupby(["epoch", "rate"])[["right", "n"]].sum().reset_index()
    sums["mean"] = sums["right"] / sums["n"]
    # The rates are swept from the larger to the smaller one.
    first = sums.sort_values(["mean", "epoch", "rate"], ascending=[False, True, False]).iloc[0]
    return float(first["rate"]), int(first["epoch"])


def test_a_session_plans_and_trains_what_its_inner_trials_chose(job, monkeypatch):
    run = job.run
    inner = [trial for trial in run.read_plan() if trial.outer == 2]
    assert len(inner) == len(run.read_plan()) == 4
    shutil.rmtree(run.trial(inner[0].name).path)
    with session_without_ray(monkeypatch, run, unfinished(job)) as (session, rounds):
        session.train(None)
        assert rounds[0] == [inner[0].name]
        ((refit,),) = rounds[1:]
    assert sessions.read(run.sessions)[-1].trials == [inner[0].name, refit]
    assert sessions.read(run.sessions)[-1].ended == "done"
    (made,) = [trial for trial in run.read_plan() if trial.selection is not None]
    rate, epoch = best_by_hand(run, inner)
    assert made.name == refit
    assert refit.startswith("sub-01_nested_fold-2_")
    assert (made.learning_rate, made.trial.train.epochs, made.fold, made.outer) == (rate, epoch, 2, None)
    assert made.chosen == f"train.learning_rate={rate}, epoch {epoch}"
    assert conclude(job) == 0
    volumes = {t.name: pd.read_parquet(run.trial(t.name).predictions).query("split != ''") for t in [made, *inner]}
    tested = volumes[refit].query("split == 'validation'")["movie_time"].to_numpy()
    for trial in inner:
        time = volumes[trial.name]["movie_time"].to_numpy()
        assert abs(time[:, None] - tested[None]).min() > 4


def test_tables_show_the_refit_as_a_claim_and_leave_inner_trials_out(job):
    train_here(job.run, plan_run(job))
    evidence = write_evidence(job.run)
    assert len(evidence.trials.inner) == 4
    (row,) = pd.read_csv(job.run.tables / "statistics.csv").to_dict("records")
    assert (row["condition"], row["nested"], row["trials"], row["planned"]) == ("nested", True, 1, 1)
    assert any(note.startswith("chosen inside: ") for note in evidence.notes)
    trials = pd.read_csv(job.run.tables / "trials.csv")
    assert trials["outer"].dropna().tolist() == [2, 2, 2, 2]
    (chosen,) = trials.loc[trials["outer"].isna(), "chosen"]
    assert chosen.startswith("train.learning_rate=")
    assert set(pd.read_parquet(job.run.tables / "predictions.parquet")["trial"]) == set(
        trials.loc[trials["outer"].isna(), "trial"]
    )
    table = next(table for table in evidence.tables if table.title.startswith("Evidence"))
    assert [row[table.columns.index("chosen")] for row in table.rows] == ["inside"]
    assert verify(job.run).problems == []


def test_a_launch_after_which_only_refits_are_missing_plans_them(job):
    (refit,) = plan_run(job)
    assert refit.selection is not None
    assert refit in job.run.read_plan()
    # Killed before it was trained: the next launch has it among its own.
    assert plan_run(job) == [refit]
    assert unfinished(job) == [refit]
    assert conclude(job) == 130
    train_here(job.run, [refit])
    assert plan_run(job) == []
    assert conclude(job) == 0


def test_of_two_sessions_that_share_inner_trials_one_has_the_refit(job, monkeypatch):
    run = job.run
    plan = run.read_plan()
    shutil.rmtree(run.trial(plan[3].name).path)
    with session_without_ray(monkeypatch, run, plan[:2]) as (session, rounds):
        session.train(None)
        assert rounds == []
        with session_without_ray(monkeypatch, run, plan[2:]) as (other, theirs):
            other.train(None)
            assert [len(names) for names in theirs] == [1, 1]
        session.train(None)
        assert rounds == []
    assert sum(trial.selection is not None for trial in run.read_plan()) == 1


def test_a_job_that_is_requeued_trains_the_refits_that_it_took(job, monkeypatch):
    run, inner = job.run, job.run.read_plan()

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(RunningSession, "_attempt", killed)
    with open_session(run, inner, 0, "7", "7") as session:
        assert session.unfinished
        session.train(None)
        (refit,) = [trial for trial in run.read_plan() if trial.selection is not None]
        assert session.unfinished
    assert slurm_job._with_refits(run, inner, "7") == [*inner, refit]
    assert slurm_job._with_refits(run, inner, "8") == inner


def test_a_job_that_was_killed_before_it_planned_refits_does_so_when_it_is_requeued(job):
    inner = job.run.read_plan()
    assert len(slurm_job._with_refits(job.run, inner[:2], "7")) == 3
    assert len(job.run.read_plan()) == 5
    assert len(slurm_job._with_refits(job.run, inner[2:], "8")) == 2


def test_no_refit_follows_an_inner_trial_that_failed_and_it_is_said_why(job, monkeypatch, capsys):
    run = job.run
    failed, *others = run.read_plan()
    run.trial(failed.name).result.unlink()
    run.trial(failed.name).write_failure("diverged at epoch 2", "session-001")
    with session_without_ray(monkeypatch, run, others) as (session, rounds):
        session.train(None)
    assert rounds == []
    (sentence,) = selection_notes.notes(run)
    assert sentence == (
        "nested selection: 1 refits cannot be planned, since inner trials failed;"
        f" the first is {failed.name}: diverged at epoch 2"
    )
    assert conclude(job) == 1
    assert sentence in capsys.readouterr().err
    assert sentence in write_evidence(run).notes


@pytest.mark.parametrize(
    ("old", "new"), [("1e-05", "1e-04"), ('"procedures"', '"procedure"'), ('"checksum": "', '"c": "')]
)
def test_a_record_that_is_not_as_a_launch_wrote_it_is_named(job, old, new):
    path = job.run.path / "selections.json"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=r"selections\.json: cannot be read .*; delete it and launch again"):
        plan_run(job)


def test_the_costs_are_shown_before(tiny_packed, tiny_labels, tmp_path):
    job = launch(tmp_path / "r", tiny_packed, tiny_labels, permutations=1)
    assert trials_table(job).splitlines()[-1] == (
        "8 trials; nested selection: 8 inner trials of 3 epochs, then 2 refits of at most 3: at most 30 epochs"
    )
    assert len(planned(job)) == 8
    assert not job.run.path.exists()
