"""A run with learning curves that was really trained: its tables, sentences and figure, and that they verify."""

import itertools

import numpy as np
import pandas as pd
import pytest
import trained_run

from deepemotion.scoring.between_brains import BetweenBrains
from launcher.checking.run import verify
from launcher.evidence.evidence import write_evidence
from launcher.report import figure_data
from launcher.report.condition_figures import LEARNING_CURVE
from launcher.report.run_figure import Drawn
from launcher.tables import tensorboard
from launcher.tables.epochs import epochs_table


@pytest.fixture(scope="module")
def run(tiny_packed, tiny_labels, tmp_path_factory):
    """A run of one subject under the random protocol, with a curve over its 8 runs."""
    path = tmp_path_factory.mktemp("runs") / "curve"
    return trained_run.make(path, tiny_packed, tiny_labels, subjects=["01"], pooled=False, learning_curve=True)


def test_each_part_trains_on_its_runs_and_is_tested_on_the_same_volumes(run):
    trials = pd.read_parquet(run.tables / "trials.parquet").sort_values("n_train")
    assert trials["curve"].tolist() == ["runs", "runs", "runs", ""]
    assert trials["train_runs"].tolist()[:3] == [1, 2, 4]
    assert trials["train_subjects"].tolist() == [1] * 4
    assert trials["n_validation"].nunique() == 1
    predicted = {name: pd.read_parquet(run.trial(name).predictions) for name in trials["trial"]}
    trained_on = [set(predicted[name].query("split == 'train'")["run"]) for name in trials["trial"]]
    assert [len(runs) for runs in trained_on] == [1, 2, 4, 8]
    for smaller, larger in itertools.pairwise(trained_on):
        assert smaller < larger
    tested = [frame.query("split == 'validation'")["movie_time"].tolist() for frame in predicted.values()]
    assert all(times == tested[0] for times in tested)


def test_the_run_shows_its_curve_and_verifies(run):
    evidence = write_evidence(run)
    (sentence,) = evidence.curves
    assert sentence.startswith("learning curve over runs, sub-01 (lr-0.001, random): ")
    assert "twice as many (16) would give " in sentence
    table = pd.read_csv(run.tables / "learning_curve.csv")
    assert table["size"].tolist() == [1, 2, 4, 8, 16]
    assert table["measured"].tolist() == [True] * 4 + [False]
    whole = evidence.trials.latest.table["accuracy_validation"].item()
    assert table["accuracy"][3] == pytest.approx(whole)
    assert len(pd.read_csv(run.tables / "statistics.csv")) == 1
    assert verify(run, volumes=False).problems == []


def test_the_ceiling_between_brains_is_noted_where_it_is_in_the_run(run):
    assert not any("a brain correlates" in note for note in write_evidence(run).notes)
    values = ((number, np.random.default_rng(number).standard_normal((3, 4, 50)), np.ones(3)) for number in (1, 2))
    BetweenBrains.of("srm", ["01", "02", "03"], values).write(run.path / "between_brains.tsv")
    assert any("a brain correlates with the mean of the others" in note for note in write_evidence(run).notes)


def test_the_curve_is_drawn_and_no_aggregate_has_its_parts(run):
    trials = write_evidence(run).trials
    (material,) = figure_data.read(run, trials, figure_data.Choice())
    (figure,) = LEARNING_CURVE.of(material, figure_data.Choice())
    assert isinstance(figure, Drawn)
    assert figure.name == "learning-curve_lr-0.001"
    labels = [tick.get_text() for tick in figure.figure.axes[0].get_xticklabels()]
    assert labels == ["1", "2", "4", "8", "16"]
    model = trials.latest.table["trial"].item()
    epochs = epochs_table(run)
    alone = epochs[epochs["trial"] == model]
    pd.testing.assert_frame_equal(tensorboard.aggregate(epochs, trials), tensorboard.aggregate(alone, trials))
