"""From simulated scans to the result: a film whose loudness goes with emotions, and brains that know these or not."""

import pandas as pd
from nested_run import train_here

from deepemotion import config_files
from deepemotion.commands.label import label
from deepemotion.dataset.description import Dataset
from deepemotion.packing.subject import PackRequest, pack_subject
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters
from launcher.evidence.evidence import write_evidence
from launcher.evidence.findings import NOT_BEATING
from launcher.launching.launch import Launch, plan_run
from launcher.planning import experiment
from launcher.run.directory import RunDirectory

SETTINGS = ("model.name=linear", "train.epochs=10", "train.learning_rate=0.01", "split.protocol=block")
# Two parts of the movie, of blocks a minute long.
SETTINGS += ("split.folds=2", "split.block_s=60", "split.gap_s=10")
PLAN = {"subjects": ["01"], "pooled": False}


def results(folder, signal):
    """Return what `results` shows of one subject in a loud film, whose brain responds with this signal."""
    root, packed, labels = folder / "dataset", folder / "packed", folder / "labels.tsv"
    parameters = Parameters(subjects=1, shape=(12, 14, 10), volumes_per_run=50, signal=signal, loudness=2.0)
    simulate(root, parameters, jobs=1)
    label(root / "annotations", str(root / "dataset.yaml"), "interval", labels, observers="av")
    pack_subject(PackRequest(Dataset.of_folder(root), root, "01", packed))
    wanted = experiment.read(config_files.find("rigorous"), list(SETTINGS), PLAN, {}, ["stimulus", "time"])
    job = Launch.of(RunDirectory(folder / "run"), wanted, packed, labels)
    train_here(job.run, plan_run(job))
    evidence = write_evidence(job.run)
    (row,) = pd.read_csv(job.run.tables / "statistics.csv").to_dict("records")
    (table,) = (one for one in evidence.tables if one.title.startswith("Evidence"))
    (sentence,) = evidence.result
    return row, table.rows[0][table.columns.index("accuracy")], sentence


def test_a_brain_without_a_signal_does_not_beat_the_loudness_that_goes_with_the_emotions(tmp_path):
    row, shown, sentence = results(tmp_path, signal=0.0)
    assert row["best_control"] == "stimulus"
    # Loudness decodes emotion: far above chance, and above the brain.
    assert row["best_control_accuracy"] > 0.4
    assert row["accuracy"] < row["best_control_accuracy"]
    assert not row["beats_controls"]
    assert NOT_BEATING in shown
    assert "; beats every control without a brain: no (the best is stimulus with " in sentence


def test_a_brain_with_more_signal_than_the_loudness_has_beats_it(tmp_path):
    row, shown, sentence = results(tmp_path, signal=8.0)
    assert row["best_control"] == "stimulus"
    assert 0.4 < row["best_control_accuracy"] < row["accuracy"]
    assert row["beats_controls"]
    assert NOT_BEATING not in shown
    assert "; beats every control without a brain: yes (the best is stimulus with " in sentence
