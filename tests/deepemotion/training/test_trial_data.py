"""What a training reads, and how often."""

from collections import Counter
from pathlib import Path

import h5py
import pytest
from small_training import trial

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

ALIGNED = ("align.method=srm", "align.features=8", "split.protocol=run", "split.fold=2")


@pytest.mark.parametrize(("changes", "memory_bytes"), [((), None), ((), 1), (ALIGNED, None)])
def test_a_training_opens_each_file_once(tiny_packed, tiny_labels, tmp_path, monkeypatch, changes, memory_bytes):
    opened, open_file, read_labels = Counter(), h5py.File.__init__, Labels.read

    def count_file(self, name, *arguments, **options):
        # Not where h5py wraps a file that is open already.
        opened.update([Path(name).name] if isinstance(name, str | Path) else [])
        open_file(self, name, *arguments, **options)

    def count_labels(path):
        opened[path.name] += 1
        return read_labels(path)

    monkeypatch.setattr(h5py.File, "__init__", count_file)
    monkeypatch.setattr(Labels, "read", count_labels)
    wanted = trial("train.epochs=1", "model.name=linear", *changes, subjects=("01", "02"), unseen=("03",))
    train(wanted, tiny_packed, tiny_labels, TrialDirectory(tmp_path / "t"), lambda metrics: None, memory_bytes)
    assert opened == {"sub-01.h5": 1, "sub-02.h5": 1, "sub-03.h5": 1, tiny_labels.name: 1}


def test_data_that_was_not_planned_for_is_refused_and_leaves_nothing(tiny_packed, tiny_labels, tmp_path):
    with pytest.raises(UserError, match="have changed since the trial was planned; launch again"):
        train(trial(), tiny_packed, tiny_labels, TrialDirectory(tmp_path / "t"), print, planned_data="0" * 16)
    assert not (tmp_path / "t").exists()
