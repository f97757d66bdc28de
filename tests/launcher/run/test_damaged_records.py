"""Damaged records of a run: what others can do without is ignored with a word, the rest is named in one line."""

import json
import os
import time

import pytest
from finished_run import make, planned

from deepemotion.errors import UserError
from deepemotion.training.data_sources import Sources
from launcher.monitoring import status
from launcher.report.html import write_report
from launcher.run import plan_file, sessions
from launcher.run.directory import RunDirectory
from launcher.run.sessions import SessionFile
from launcher.slurm import submissions
from launcher.slurm.submissions import Submission
from launcher.tables.tensorboard import Board


@pytest.fixture
def run(tmp_path):
    """A run of one trial that is done."""
    return make(tmp_path / "run", [planned("one")])


DAMAGED = [b"[1, 2]", b"{}", b"null", b"\x80\xff\x00", b'"text"', b"{", b'{"name": "a", "group": 1}']


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_record_of_a_session_is_named_once_and_ignored(tmp_path, capsys, content):
    SessionFile(tmp_path, ["one"], None, None)
    (tmp_path / "session-002.json").write_bytes(content)
    assert [session.name for session in sessions.read(tmp_path)] == ["session-001"]
    assert [session.name for session in sessions.read(tmp_path)] == ["session-001"]
    warned = capsys.readouterr().err
    assert warned.count("session-002.json: damaged, and ignored") == 1


@pytest.mark.parametrize(
    "change",
    [{"jobs": {"12": []}}, {"tasks": [[["one"]]]}, {"tasks": 3}, {"submitted": {}}, {"submitted": float("nan")}],
)
def test_a_damaged_record_of_a_submission_is_one_line(run, change):
    submissions.write(run, Submission(1, "slurm", [["one"]], "main.yaml", "code", jobs={"12": 0}))
    (path,) = run.slurm.glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    for look in (submissions.read, status.read):
        with pytest.raises(UserError, match=r"submission-001\.json: cannot be read .*; delete it, and submit"):
            look(run)


def test_a_record_with_times_that_are_none_is_ignored(tmp_path):
    SessionFile(tmp_path, ["one"], None, None)
    path = tmp_path / "session-001.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"beat": float("nan")}))
    assert sessions.read(tmp_path) == []


def test_an_empty_record_was_created_a_moment_ago(tmp_path, capsys):
    (tmp_path / "session-001.json").touch()
    assert sessions.read(tmp_path) == []
    assert capsys.readouterr().err == ""


def test_a_host_whose_clock_is_ahead_does_not_work_on_after_its_death(tmp_path):
    SessionFile(tmp_path, ["one"], None, None).beat(["one"])
    path = tmp_path / "session-001.json"
    content = json.loads(path.read_text()) | {"host": "elsewhere", "beat": time.time() + 3600}
    path.write_text(json.dumps(content))
    (session,) = sessions.read(tmp_path)
    assert session.beat <= time.time()
    assert session.alive
    long_ago = time.time() - 600
    os.utime(path, (long_ago, long_ago))
    assert not sessions.read(tmp_path)[0].alive


@pytest.mark.parametrize("content", [b"\0" * 18, b"", b"nan", b"inf", b"yesterday", b"\xff\xfe"])
def test_a_damaged_time_of_the_aggregates_means_that_they_are_due(run, content):
    (run.path / ".aggregates").write_bytes(content)
    Board(run).refresh()
    assert list(run.tensorboard.rglob("events.out.tfevents.*"))


def test_turns_are_given_once_in_a_while_whatever_the_clock(run):
    def turn():
        with run.only_one("turns", every_s=100) as due:
            return due

    assert turn()
    assert not turn()
    (run.path / ".turns").write_text(str(time.time() + 3600))
    assert turn()
    (run.path / ".turns").write_text(str(time.time() - 101))
    assert turn()


@pytest.mark.parametrize("settings", ["[]", "null", "{}", "3", '"text"', "{"])
def test_a_plan_with_other_settings_is_refused_in_one_line(run, settings):
    header, row = run.plan_file.read_text().splitlines()
    cells = row.split("\t")
    cells[header.split("\t").index("settings")] = settings
    run.plan_file.write_text(f"{header}\n" + "\t".join(cells) + "\n")
    with pytest.raises(UserError, match=r"plan\.tsv: not a plan of this version") as error:
        run.read_plan()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("cut", [3, 40, 200])
def test_a_plan_with_a_cut_line_is_refused(run, cut):
    header, row = run.plan_file.read_text().splitlines()
    for text in (f"{header}\n{row[:-cut]}\n{row}\n", f"{header[:-cut]}\n{row}\n", f"{header}\n{row[cut:]}\n{row}\n"):
        run.plan_file.write_text(text)
        with pytest.raises(UserError, match=r"plan\.tsv: not a plan"):
            run.read_plan()


def test_a_trial_is_planned_once_only(run):
    header, row = run.plan_file.read_text().splitlines()
    run.plan_file.write_text(f"{header}\n{row}\n{row}\n")
    with pytest.raises(UserError, match=r"plan\.tsv: .*one is in it more than once"):
        run.read_plan()


@pytest.mark.parametrize("name", ["../../elsewhere", "", ".hidden", "a/b", "a b"])
def test_names_that_are_no_folders_are_refused(tmp_path, name):
    path = tmp_path / "plan.tsv"
    plan_file.write(path, [planned(name)])
    with pytest.raises(UserError, match=r"plan\.tsv: not a plan"):
        plan_file.read(path)


@pytest.mark.parametrize("content", [b"null", b"{}", b"[1]", b"\0\0", b"\xff", b"[", b""])
def test_damaged_provenance_is_named(run, content):
    run.provenance_file.write_bytes(content)
    Sources(run.path / "packed", run.path / "labels.tsv").write(run.path)
    with pytest.raises(UserError, match=r"provenance\.json: cannot be read .*; move it elsewhere"):
        write_report(run)


@pytest.mark.parametrize("content", [b"null", b"[]", b"\0\0", b"\xff\xfe", b"{", b"plan: [", b"text", b""])
def test_a_damaged_experiment_is_named(run, content):
    run.experiment_file.write_bytes(content)
    with pytest.raises(UserError, match=r"experiment\.yaml.*launch into this run again") as error:
        write_report(run)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"[]", b"\xff\xfe", b"{", b"train: {epochs: -1}", b"train: 1", b"a: 1\na: 1"])
def test_an_experiment_that_cannot_be_used_comes_with_its_remedy(run, content):
    run.experiment_file.write_bytes(content)
    with pytest.raises(UserError, match=r"experiment\.yaml.*; delete it and launch into this run again") as error:
        run.read_experiment()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"null", b"[]", b"{}", b'{"packed": 1, "labels": 2}', b"\0", b"\xff"])
def test_damaged_sources_are_named(run, content):
    (run.path / "sources.json").write_bytes(content)
    with pytest.raises(UserError, match=r"sources\.json: cannot be read .*launch into this run again"):
        write_report(run)


def test_a_run_without_a_plan_is_none(tmp_path):
    with pytest.raises(UserError, match="no run here"):
        RunDirectory.existing(tmp_path)
