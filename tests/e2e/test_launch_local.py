"""The launcher on one machine, as a user runs it: whole commands, real Ray, and all that a finished run holds."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pandas as pd
import pytest
from small_run import LAUNCH, QUICK, table

from deepemotion.training.trial_directory import TrialDirectory
from launcher.run.directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(command, tiny_packed, tiny_labels, tmp_path_factory):
    """A finished run of the main job in small: 3 single-subject models and the pooled one, two learning rates."""
    runs = tmp_path_factory.mktemp("runs")
    where = ("--config", "demo", "--data", tiny_packed, "--labels", tiny_labels, "--runs", runs, "--name", "main")
    done = command("deepemotion-launch", "--all-subjects", *where, *QUICK, "--lr", "1e-3,3e-3", "--on", "local")
    assert done.returncode == 0, done.stderr
    return runs / "main", done


def test_every_trial_is_done_and_in_the_tables(finished):
    run, done = finished
    trials = table(run)
    assert len(trials) == 8
    assert set(trials["state"]) == {"done"}
    assert set(trials["training_set"]) == {"sub-01", "sub-02", "sub-03", "pooled"}
    assert set(trials["learning_rate"]) == {1e-3, 3e-3}
    columns = [
        *("trial", "training_set", "protocol", "fold", "learning_rate", "seed", "state", "epochs", "accuracy_train"),
        *("accuracy_validation", "label_only_accuracy", "majority_accuracy", "chance", "duration_s", "reason"),
    ]
    assert set(columns) <= set(trials.columns)
    assert (run / "tables" / "trials.csv").is_file()
    predictions = pd.read_parquet(run / "tables" / "predictions.parquet")
    wanted = {"trial", "subject", "run", "index_in_run", "movie_time", "split", "label", "prediction"}
    assert wanted <= set(predictions.columns)
    right = predictions["label"].astype(str) == predictions["prediction"].astype(str)
    for row in trials.itertuples():
        rows = (predictions["trial"] == row.trial) & (predictions["split"] == "validation")
        assert right[rows].mean() == pytest.approx(row.accuracy_validation)
    assert "8 done, 0 failed" in done.stderr
    # The lines of its progress are also those of its log.
    *_, last = (run / "sessions" / "session-001.log").read_text().splitlines()
    assert "8/8 done · 0 running · 0 failed · 100 % · 0:00 left" in last
    assert last in done.stderr
    assert f"tensorboard --logdir {run}" in done.stderr


def test_a_trial_gives_the_same_under_ray_and_without(finished, command, tiny_packed, tiny_labels, tmp_path):
    run, _ = finished
    name = next(name for name in table(run)["trial"] if name.startswith("sub-02_lr-0.003"))
    words = ("--data", tiny_packed, "--labels", tiny_labels, "--config", "demo", "--subjects", "2")
    done = command("deepemotion", "train", tmp_path / "t", *words, *QUICK, "--set", "train.learning_rate=3e-3")
    assert done.returncode == 0, done.stderr
    one, other = TrialDirectory(tmp_path / "t"), RunDirectory(run).trial(name)
    assert [{**row, "time/epoch": 0} for row in one.read_epochs()] == [
        {**row, "time/epoch": 0} for row in other.read_epochs()
    ]
    pd.testing.assert_frame_equal(pd.read_parquet(one.predictions), pd.read_parquet(other.predictions))


def test_the_same_command_again_starts_no_ray_and_trains_nothing(finished, command, tiny_packed, tiny_labels):
    run, _ = finished
    before = {path: path.stat().st_mtime_ns for path in run.glob("trials/*/result.json")}
    where = ("--config", "demo", "--data", tiny_packed, "--labels", tiny_labels, "--runs", run.parent, "--name", "main")
    words = ["--all-subjects", *map(str, where), *QUICK, "--lr", "1e-3,3e-3"]
    code = (
        "import sys; from launcher import cli; sys.argv = ['deepemotion-launch', *sys.argv[1:]]\n"
        "try: cli.main()\nexcept SystemExit as end: assert not end.code, end.code\n"
        "assert not {'ray', 'torch', 'pandas'} & set(sys.modules), 'a finished run needs none of these'"
    )
    again = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert "8 done, 0 failed" in again.stderr
    assert {path: path.stat().st_mtime_ns for path in run.glob("trials/*/result.json")} == before


def test_tables_that_a_killed_launch_left_behind_are_written_by_the_next(finished, command, tiny_packed, tiny_labels):
    run, _ = finished
    tables = [run / "tables" / f"trials.{kind}" for kind in ("parquet", "csv")]
    whole = tables[1].read_text()
    os.utime(tables[0], ns=(0, 0))
    tables[1].write_text("from before the last trial\n")
    where = ("--config", "demo", "--data", tiny_packed, "--labels", tiny_labels, "--runs", run.parent, "--name", "main")
    again = command("deepemotion-launch", "--all-subjects", *where, *QUICK, "--lr", "1e-3,3e-3")
    assert again.returncode == 0, again.stderr
    assert tables[1].read_text() == whole


def test_tune_directories_open_with_tunes_own_analysis(finished):
    run, _ = finished
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    from ray.tune import ExperimentAnalysis

    (session,) = (run / "tune").iterdir()
    analysis = ExperimentAnalysis(str(session), default_metric="accuracy_validation", default_mode="max")
    assert len(analysis.trials) == 8
    frame = analysis.dataframe()
    assert frame["accuracy_validation"].between(0, 1).all()


def test_tensorboard_shows_trials_and_figure_3(finished):
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
    from tensorboard.plugins.custom_scalar import layout_pb2, metadata

    run, _ = finished
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(run))
    multiplexer.Reload()
    runs = multiplexer.Runs()
    assert len(runs) < 40
    curves = [tag for tag in runs["tensorboard/trials/validation"]["scalars"] if tag.startswith("trials ")]
    assert len(curves) == 8
    (content,) = multiplexer.Tensors("tensorboard/training", metadata.CONFIG_SUMMARY_TAG)
    layout = layout_pb2.Layout.FromString(content.tensor_proto.string_val[0])
    charts = {chart.title: chart.margin.series for category in layout.category for chart in category.chart}
    assert set(charts) == {"lr-0.001", "lr-0.003"}
    for condition, (series,) in charts.items():
        for line in ("training", "validation", "pooled-training", "pooled-validation", "chance", "labels-alone"):
            assert {series.value, series.lower, series.upper} <= set(runs[f"tensorboard/{line}"]["scalars"])
        mean = multiplexer.Scalars("tensorboard/validation", series.value)
        assert [event.step for event in mean] == [1, 2]
        single = [
            pd.DataFrame(RunDirectory(run).trial(row.trial).read_epochs())["accuracy/validation"].iloc[-1]
            for row in table(run).itertuples()
            if row.training_set != "pooled" and f"lr-{row.learning_rate:g}" == condition
        ]
        assert mean[-1].value == pytest.approx(sum(single) / 3, rel=1e-5)


@pytest.mark.parametrize(("words", "shown"), [((), "validation"), (("--trials", "pooled"), "pooled_lr")])
def test_the_tensorboard_command_serves_the_run_or_trials_of_it_on_this_machine_only(finished, words, shown):
    run, _ = finished
    words = [LAUNCH, "tensorboard", run, "--port", "0", *words]
    job = os.environ | {"SLURM_SUBMIT_HOST": "login"}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True, env=job) as process:
        try:
            line = next(line for line in process.stderr if "open http://localhost:" in line)
            address = re.search(r"http://localhost:(\d+)/", line)
            ssh = next(line for line in process.stderr if "ssh" in line)
            assert re.search(rf"ssh -N -J \S+@login -L {address[1]}:localhost:{address[1]} \S+", ssh)
            assert any(name.startswith(shown) for name in _runs(address[0]))
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _runs(address):
    """Return the runs of a TensorBoard, once it has read some."""
    while True:
        with urllib.request.urlopen(f"{address}data/runs", timeout=60) as answer:
            if runs := json.load(answer):
                return runs
        time.sleep(0.2)


def test_results_name_the_best_learning_rate_of_each_model(finished, command):
    run, _ = finished
    done = command("deepemotion-launch", "results", run)
    assert done.returncode == 0, done.stderr
    trials = table(run)
    for model, rows in trials.groupby("training_set"):
        best = rows.loc[rows["accuracy_validation"].idxmax()]
        _, _, shown = done.stdout.partition("Best condition of each model")
        line = next(line for line in shown.splitlines() if model in line)
        assert f"lr-{best['learning_rate']:g}" in line
        assert f"{100 * best['accuracy_validation']:.1f}" in line


def test_the_report_is_one_file_with_the_numbers(finished, command):
    run, _ = finished
    done = command("deepemotion-launch", "report", run)
    assert done.returncode == 0, done.stderr
    html = Path(done.stdout.strip()).read_text()
    for accuracy in table(run)["accuracy_validation"]:
        assert f"{100 * accuracy:.1f}" in html
    assert html.count("data:image/png;base64,") == len(list((run / "figures").glob("*.png"))) >= 4
    assert 'src="http' not in html
    for name in ("figure-3_lr-0.001", "figure-5_lr-0.003"):
        assert (run / "figures" / f"{name}.png").is_file()
        assert (run / "figures" / f"{name}.svg").is_file()


def test_the_run_directory_says_what_was_run(finished):
    run, _ = finished
    assert "learning_rate" in (run / "experiment.yaml").read_text()
    assert len((run / "plan.tsv").read_text().splitlines()) == 9
    (launched,) = json.loads((run / "provenance.json").read_text())
    assert {"command", "host", "versions", "git_commit", "labels_checksum", "subject_checksums"} <= set(launched)


def test_more_learning_rates_subjects_and_controls_train_only_what_is_new(launch, command, tmp_path):
    first = launch("--subjects", "1,2", "--no-pooled", *QUICK, "--name", "r")
    assert first.returncode == 0, first.stderr
    run = tmp_path / "runs" / "r"
    before = {path: path.stat().st_mtime_ns for path in run.glob("trials/*/result.json")}
    assert len(before) == 2
    words = ("--subjects", "1-3", "--no-pooled", *QUICK, "--name", "r", "--lr", "1e-3,3e-3", "--controls", "time")
    more = launch(*words)
    assert more.returncode == 0, more.stderr
    assert "7 trials (3 of controls) to run, 2 already done" in more.stderr
    after = {path: path.stat().st_mtime_ns for path in run.glob("trials/*/result.json")}
    assert len(after) == 9
    assert {path: after[path] for path in before} == before
    trials = table(run)
    assert trials["control"].value_counts().to_dict() == {"": 6, "time": 3}
    assert trials.loc[trials["control"] == "time", "training_set"].tolist() == ["sub-01", "sub-02", "sub-03"]
    results = command("deepemotion-launch", "results", run)
    assert results.returncode == 0, results.stderr
    assert "best control" in results.stdout
    assert "Controls without a brain" in results.stdout
    assert any("time alone" in line or "beats every control" in line for line in results.stdout.splitlines())
    verified = command("deepemotion-launch", "verify", run)
    assert verified.returncode == 0, verified.stdout + verified.stderr
