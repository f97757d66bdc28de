"""A run with a nested selection, small enough to be trained without Ray."""

from deepemotion import config_files
from deepemotion.training.data_sources import Sources
from deepemotion.training.loop import train
from launcher.launching.launch import Launch
from launcher.planning import experiment
from launcher.run.directory import RunDirectory

SETTINGS = ("train.epochs=3", "model.name=linear", "data.drop_overlaps=false", "split.protocol=block")
SETTINGS += ("split.folds=3", "split.block_s=30", "split.gap_s=4", "split.fold=2")
RATES = {"train.learning_rate": [1e-3, 1e-5]}


def launch(path, packed, labels, **plan):
    plan = {"subjects": ["01"], "pooled": False, "select": "nested"} | plan
    wanted = experiment.read(config_files.find("demo"), list(SETTINGS), plan, RATES)
    return Launch.of(RunDirectory(path), wanted, packed, labels)


def train_here(run, trials):
    """Train trials one after the other, as a session does with Ray."""
    sources = Sources.read(run.path)
    where = (sources.packed, sources.labels)
    for trial in trials:
        train(trial.trial, *where, run.trial(trial.name), lambda metrics: None, planned_data=trial.data)
