"""A small run that was really trained, without Ray."""

import json

from deepemotion import config_files
from deepemotion.training import integrity
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory
from launcher.evidence.evidence import write_evidence
from launcher.launching.launch import Launch, plan_run
from launcher.planning import experiment
from launcher.run.directory import RunDirectory

SETTINGS = ("train.epochs=2", "model.name=linear", "data.drop_overlaps=false", "split.protocol=random")


def make(path, packed, labels, controls=(), overrides=(), **plan):
    """Train every trial of a small plan, one after the other, and write the tables; return the run."""
    run = RunDirectory(path)
    wanted = experiment.read(config_files.find("demo"), [*SETTINGS, *overrides], plan, {}, list(controls))
    job = Launch.of(run, wanted, packed, labels)
    for trial in plan_run(job):
        train(trial.trial, packed, labels, run.trial(trial.name), lambda metrics: None, None, trial.data)
    write_evidence(run)
    return run


def reseal(directory: TrialDirectory) -> None:
    """Make the checksums of a trial's result those of what its files hold: as if it had been trained so."""
    content = json.loads(directory.result.read_text())
    content[integrity.FILES] = {
        name: integrity.file_checksum(directory.path / name) for name in integrity.recorded_files(content)
    }
    directory.result.write_text(json.dumps(content | {integrity.CHECKSUM: integrity.checksum(content)}))
