"""plan.tsv: what is written is read again, and plans of earlier versions stay readable."""

from pathlib import Path

import pytest
from small_plan import plan

from deepemotion.errors import UserError
from launcher.run import plan_file

# Written when a planned trial held its settings as plain values.
EARLIER = Path(__file__).with_name("plan-of-2026-11-27.tsv")


def test_a_plan_is_read_as_it_was_written(tmp_path):
    trials = plan("rigorous", subjects=["01", "02"], permutations=1) + plan(subjects=["03"])
    plan_file.write(tmp_path / "plan.tsv", trials)
    assert plan_file.read(tmp_path / "plan.tsv") == trials


def test_a_plan_of_an_earlier_version_is_read():
    first, last = plan_file.read(EARLIER)
    assert (first.name, first.fold, first.permutation, first.setup) == ("sub-01_lr-0.001_995e06a7", None, 0, "3a71442b")
    assert (last.fold, last.permutation, last.protocol, last.setup) == (8, 1, "run x subject", "2bdbba1c")
    assert (last.learning_rate, last.seed, last.trial.train.epochs) == (1e-3, 0, 50)
    assert (last.trial.subjects, last.trial.unseen_subjects) == (["01"], ["02"])


def test_what_an_earlier_version_planned_is_the_same_trial_today(monkeypatch):
    """Else a launch after an update would train everything again."""
    monkeypatch.setattr("launcher.planning.identity.__version__", "0.1.0")
    monkeypatch.setattr("launcher.planning.identity.FORMAT_VERSION", 1)
    first, last = plan_file.read(EARLIER)
    (today,) = plan("demo", subjects=["01"], pooled=False)
    assert today == first
    held_out = {"single_subject": False, "pooled": False, "leave_one_subject_out": True}
    again = plan("rigorous", subjects=["01", "02"], permutations=1, **held_out)
    assert again[-1] == last


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"epochs": 5,', '"epochs": 0,', "settings: train.epochs: "),
        ('"epochs": 5,', '"epochs": 5, "rate": 1,', "settings: train.rate: no such key"),
        ("\tsettings\t", "\tsetings\t", "no column 'settings'"),
        ("816553984", "much", "much"),
    ],
)
def test_a_plan_that_is_none_is_refused_in_one_line(tmp_path, old, new, said):
    path = tmp_path / "plan.tsv"
    path.write_text(EARLIER.read_text().replace(old, new))
    with pytest.raises(UserError) as error:
        plan_file.read(path)
    assert said in str(error.value)
    assert "move it elsewhere and launch again" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("words", ["1234567", "0123abcd train.rate", "train.learning_rate"])
def test_a_selection_of_settings_that_there_are_not_is_refused(tmp_path, words):
    path = tmp_path / "plan.tsv"
    plan_file.write(path, plan(subjects=["01"]))
    header, row = path.read_text().splitlines()
    cells = dict(zip(header.split("\t"), row.split("\t"), strict=True)) | {"selection": words}
    path.write_text(f"{header}\n" + "\t".join(cells.values()) + "\n")
    with pytest.raises(UserError, match=f"{words}' is no selection of settings"):
        plan_file.read(path)
