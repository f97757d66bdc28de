"""A trial as Tune calls it, without a Tune around it."""

import pytest
from ray import tune

from deepemotion import shipped
from deepemotion.settings import make_trial, read_settings
from deepemotion.trial_directory import TrialDirectory
from launcher.trainable import run_trial


@pytest.mark.parametrize(("limit", "streams"), [(None, False), (2**20, True)])
def test_a_trial_short_of_memory_streams_its_volumes(tiny_packed, tiny_labels, tmp_path, monkeypatch, limit, streams):
    reports = []
    monkeypatch.setattr(tune, "report", reports.append)
    changes = ["train.epochs=1", "model.name=linear", "data.drop_overlaps=false"]
    settings = make_trial(read_settings(shipped.find("demo"), changes), ["01"], []).model_dump(mode="json")
    directory = TrialDirectory(tmp_path / "trial")
    trial = {"name": "t", "settings": settings, "directory": str(directory.path), "memory_limit": limit}
    run_trial({"trial": trial, "packed": str(tiny_packed), "labels": str(tiny_labels), "session": "s"})
    assert ("streamed from their files" in directory.log_file.read_text()) is streams
    assert "accuracy_validation" in reports[-1]
