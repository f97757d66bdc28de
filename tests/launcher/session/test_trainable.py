"""A trial as Tune calls it, without a Tune around it."""

import pytest
from ray import tune

from deepemotion import config_files
from deepemotion.labels.table import Labels
from deepemotion.settings.schema import Trial, make_trial, read_settings
from deepemotion.subject_file.folder import open_subjects
from deepemotion.training.checksums import data_checksums, data_digest
from deepemotion.training.trial_directory import TrialDirectory
from launcher.session.trainable import TrialError, run_trial


def digest(settings, packed, labels):
    trial = Trial.model_validate(settings)
    with open_subjects(packed, trial.all_subjects) as files:
        return data_digest(data_checksums(trial, files, Labels.read(labels)))


def test_data_that_changed_since_it_was_planned_fails_the_trial(tiny_packed, tiny_labels, tmp_path, monkeypatch):
    monkeypatch.setattr(tune, "report", lambda metrics: None)
    settings = make_trial(read_settings(config_files.find("demo"), []), ["01"], []).model_dump(mode="json")
    directory = TrialDirectory(tmp_path / "trial")
    labels = tmp_path / "labels.tsv"
    labels.write_bytes(tiny_labels.read_bytes())
    planned = digest(settings, tiny_packed, labels)
    lines = labels.read_text().splitlines(keepends=True)
    labels.write_text("".join(lines[:-1]))
    trial = {"settings": settings, "data": planned, "directory": str(directory.path), "memory_limit": None}
    with pytest.raises(TrialError, match="have changed since the trial was planned; launch again"):
        run_trial({"trial": trial, "packed": str(tiny_packed), "labels": str(labels), "session": "s"})
    assert "have changed since" in directory.read_json(directory.failure)["reason"]
    assert not directory.settings.exists()


@pytest.mark.parametrize(("limit", "streams"), [(None, False), (2**20, True)])
def test_a_trial_short_of_memory_streams_its_volumes(tiny_packed, tiny_labels, tmp_path, monkeypatch, limit, streams):
    reports = []
    monkeypatch.setattr(tune, "report", reports.append)
    changes = ["train.epochs=1", "model.name=linear", "data.drop_overlaps=false"]
    settings = make_trial(read_settings(config_files.find("demo"), changes), ["01"], []).model_dump(mode="json")
    directory = TrialDirectory(tmp_path / "trial")
    trial = {"settings": settings, "data": digest(settings, tiny_packed, tiny_labels), "directory": str(directory.path)}
    trial["memory_limit"] = limit
    run_trial({"trial": trial, "packed": str(tiny_packed), "labels": str(tiny_labels), "session": "s"})
    assert ("streamed from their files" in directory.log_file.read_text()) is streams
    assert "accuracy_validation" in reports[-1]
