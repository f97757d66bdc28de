"""Whatever file of a run is torn, the commands that look at it name it and say what to do, in one line."""

import json

import pandas as pd
import pytest
from small_plan import planned

from deepemotion.errors import UserError
from launcher.monitoring import status
from launcher.report.html import write_report
from launcher.run.directory import RunDirectory
from launcher.slurm import submissions
from launcher.tables.trials import write_tables


@pytest.fixture
def run(tmp_path):
    """A run of one trial that is done and one that failed."""
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    trials = [planned(name, name, train={"epochs": 1}) for name in ("sub-01", "sub-02")]
    run.add_to_plan(trials)
    run.experiment_file.write_text("plan: {}\n")
    for trial in trials:
        run.trial(trial.name).write_epochs([{"epoch": 1, "accuracy/train": 1.0, "accuracy/validation": 0.5}])
    done, failed = (run.trial(trial.name) for trial in trials)
    failed.write_failure("sub-02.h5: truncated", "1")
    volumes = {"subject": ["01"], "split": ["validation"], "label": ["FEAR"], "prediction": ["FEAR"], "p_FEAR": [1.0]}
    pd.DataFrame({**volumes, "run": [1], "movie_time": [0.0]}).to_parquet(done.predictions)
    done.result.write_text(json.dumps({"accuracy_train": 1.0, "accuracy_validation": 1.0, "epochs": 1}))
    return run


def test_a_whole_run_is_read(run):
    assert write_tables(run).table["state"].tolist() == ["done", "failed"]
    assert [one.state for one in status.read(run)] == ["done", "failed"]


@pytest.mark.parametrize(
    ("torn", "helps"),
    [
        ("trials/sub-01/result.json", "delete it and launch again"),
        ("trials/sub-01/predictions.parquet", "delete it and result.json beside it, and launch again"),
        ("trials/sub-01/epochs.tsv", "delete the folder .*/trials/sub-01 and launch again"),
        ("trials/sub-02/failure.json", "delete it and launch again"),
        ("plan.tsv", "move it elsewhere and launch again"),
    ],
)
@pytest.mark.parametrize("left", [0.5, 0.0])
def test_the_tables_say_which_file_is_torn(run, torn, helps, left):
    path = run.path / torn
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * left)] + b"\n" * (path.suffix == ".tsv" and left == 0))
    with pytest.raises(UserError, match=f"{torn}.*{helps}"):
        write_tables(run)


def test_a_torn_table_is_made_anew(run):
    write_tables(run)
    table = run.tables / "predictions.parquet"
    whole = table.read_bytes()
    for kept in (0, len(whole) // 2):
        table.write_bytes(whole[:kept])
        write_tables(run)
        assert table.read_bytes() == whole


def test_predictions_that_are_missing_are_told_likewise(run):
    run.trial("sub-01").predictions.unlink()
    with pytest.raises(UserError, match=r"predictions\.parquet: cannot be read \(missing\); delete"):
        write_tables(run)


def test_the_status_and_the_report_say_it_too(run):
    run.slurm.mkdir()
    record = run.slurm / "submission-001.json"
    record.write_text('{"number": 1')
    with pytest.raises(UserError, match=r"submission-001\.json: cannot be read .*; delete it"):
        submissions.read(run)
    record.unlink()
    run.trial("sub-02").failure.write_text("{")
    with pytest.raises(UserError, match=r"sub-02/failure\.json: cannot be read"):
        status.read(run)
    with pytest.raises(UserError, match=r"sub-02/failure\.json: cannot be read"):
        write_report(run)


def test_a_report_says_that_its_experiment_is_missing(run):
    run.experiment_file.unlink()
    with pytest.raises(UserError, match=r"experiment\.yaml: cannot be read \(missing\); launch into this run again"):
        write_report(run)


def test_the_commands_end_with_one_line(run, command):
    run.trial("sub-01").result.write_text("{")
    for name in ("results", "report", "figures"):
        done = command("deepemotion-launch", name, run.path)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "result.json: cannot be read" in done.stderr
