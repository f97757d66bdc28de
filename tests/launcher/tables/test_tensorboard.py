"""What TensorBoard finds in a run, read with its own reader; nothing is trained."""

import shutil

import numpy as np
import pytest
from matplotlib.image import imsave
from small_plan import planned
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.custom_scalar.metadata import CONFIG_SUMMARY_TAG

from launcher.run.directory import RunDirectory
from launcher.tables.tensorboard import Board, write_aggregates, write_images

MEAN = "figure-3, set Smoothing to 0/lr-0.001"


@pytest.fixture
def run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    return run


def train(run, *trials, epochs=1, accuracy=0.5):
    """Add trials to the plan, and the epochs that they have finished."""
    for trial in trials:
        run.add_to_plan([trial])
        rows = [
            {"epoch": epoch, "accuracy/train": 1.0, "accuracy/validation": accuracy + epoch / 100}
            for epoch in range(1, epochs + 1)
        ]
        run.trial(trial.name).write_epochs(rows)


def read(run):
    """Return what a TensorBoard that is started on the run finds."""
    found = EventMultiplexer().AddRunsFromDirectory(str(run.path))
    found.Reload()
    return found


def points(found, line, tag):
    return [(event.step, round(event.value, 4)) for event in found.Scalars(f"tensorboard/{line}", tag)]


def subject(number, **settings):
    return planned(f"sub-{number:02d}_a", f"sub-{number:02d}", **settings)


@pytest.mark.parametrize("trials", [20, 100])
def test_any_number_of_trials_is_few_runs_so_that_all_are_ticked(run, trials):
    run.add_to_plan(subject(number) for number in range(1, trials + 1))
    for number in range(1, trials + 1):
        path = run.trial(f"sub-{number:02d}_a").epochs
        path.parent.mkdir(parents=True)
        path.write_text("epoch\taccuracy/train\taccuracy/validation\n1\t1.0\t0.5\n")
    write_aggregates(run)
    runs = read(run).Runs()
    assert len(runs) <= 6
    curves = [tag for tag in runs["tensorboard/trials/validation"]["scalars"] if tag.startswith("trials ")]
    assert len(curves) == trials


def test_each_line_of_figure_3_is_a_run_with_all_the_tags_of_its_chart(run):
    train(run, subject(1), subject(2), planned("p", "pooled"), epochs=2)
    write_aggregates(run)
    found = read(run)
    (content,) = found.Tensors("tensorboard/training", CONFIG_SUMMARY_TAG)
    (chart,) = Layout.FromString(content.tensor_proto.string_val[0]).category[0].chart
    # With several series, TensorBoard names as missing what a run has not: trials and texts.
    (series,) = chart.margin.series
    for line in ("training", "validation", "pooled-training", "pooled-validation"):
        assert {series.value, series.lower, series.upper} <= set(found.Runs()[f"tensorboard/{line}"]["scalars"])
    assert points(found, "validation", series.value) == [(1, 0.51), (2, 0.52)]


def test_no_tag_of_a_chart_has_brackets_which_would_hide_its_line(run):
    train(run, subject(1, condition="lr-0.001 (a)"))
    write_aggregates(run)
    tags = read(run).Runs()["tensorboard/training"]["scalars"]
    assert not any("(" in tag for tag in tags)


def test_a_mean_changes_when_another_model_comes_as_far_and_has_one_point_an_epoch(run):
    board = Board(run)
    train(run, subject(1), epochs=3, accuracy=0.4)
    board.write()
    found = read(run)
    train(run, subject(2), epochs=2, accuracy=0.6)
    board.write()
    expected = [(1, 0.51), (2, 0.52), (3, 0.43)]
    assert points(read(run), "validation", MEAN) == expected
    # Also in one that had read the first file.
    found.Reload()
    assert points(found, "validation", MEAN) == expected


def test_curves_of_trials_grow_by_what_is_new(run):
    board = Board(run)
    train(run, subject(1), epochs=2)
    board.write()
    (file,) = (run.tensorboard / "trials" / "validation").iterdir()
    before = file.read_bytes()
    train(run, subject(1), epochs=3)
    # In another session, or after a restart.
    Board(run).write()
    board.write()
    assert file.read_bytes().startswith(before)
    assert points(read(run), "trials/validation", "trials sub-01/sub-01_a") == [(1, 0.51), (2, 0.52), (3, 0.53)]


@pytest.mark.parametrize("accuracy", [0.5, 0.7])
def test_a_trial_that_is_trained_anew_has_no_point_twice(run, accuracy):
    board = Board(run)
    train(run, subject(1), epochs=3)
    board.write()
    shutil.rmtree(run.trial("sub-01_a").path)
    for epochs in (1, 4):
        train(run, subject(1), epochs=epochs, accuracy=accuracy)
        board.write()
    curve = points(read(run), "trials/validation", "trials sub-01/sub-01_a")
    assert curve == [(epoch, round(accuracy + epoch / 100, 4)) for epoch in range(1, 5)]


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b'{"files": 1}', b'{"files": {}, "shown": {"a": 1}}'])
def test_curves_are_written_again_where_nobody_knows_what_they_hold(run, content):
    train(run, subject(1), epochs=2)
    write_aggregates(run)
    (run.tensorboard / "trials" / "shown.json").write_bytes(content)
    write_aggregates(run)
    assert points(read(run), "trials/validation", "trials sub-01/sub-01_a") == [(1, 0.51), (2, 0.52)]


@pytest.mark.parametrize("place", [20, -20])
def test_a_damaged_file_of_curves_is_written_again(run, place):
    train(run, subject(1), epochs=2)
    write_aggregates(run)
    (file,) = (run.tensorboard / "trials" / "validation").iterdir()
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    write_aggregates(run)
    assert points(read(run), "trials/validation", "trials sub-01/sub-01_a") == [(1, 0.51), (2, 0.52)]


def test_the_curve_of_a_trial_that_was_deleted_goes_with_it(run):
    train(run, subject(1), subject(2))
    write_aggregates(run)
    shutil.rmtree(run.trial("sub-02_a").path)
    write_aggregates(run)
    assert "trials sub-02/sub-02_a" not in read(run).Runs()["tensorboard/trials/validation"]["scalars"]


def test_what_an_earlier_version_wrote_is_removed(run):
    old = run.tensorboard / "lr-0.001" / "events.out.tfevents.1.host.1.0"
    old.parent.mkdir(parents=True)
    old.touch()
    train(run, subject(1))
    write_aggregates(run)
    assert not old.parent.exists()


def test_how_busy_the_machine_is_grows_while_the_run_trains(run):
    board = Board(run, lambda: {"here: CPUs in %": 50.0})
    for epochs in (1, 3, 3, 4):
        train(run, subject(1), epochs=epochs)
        board.write()
    found = read(run)
    assert [event.value for event in found.Scalars("tensorboard/machine", "machine/here: CPUs in %")] == [50.0, 50.0]
    assert all(event.value > 0 for event in found.Scalars("tensorboard/machine", "machine/epochs a second"))


def test_figures_and_brain_maps_are_images(run):
    for name in ("figures/confusion_lr-0.001", "figures/figure-3_lr-0.001", "explain/sub-01_a/saliency_slices"):
        path = run.path / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        imsave(path, np.zeros((3, 5)))
    for _ in range(2):
        write_images(run, run.path / "figures")
    found = read(run)
    # Figure 3 is live.
    tags = ["brain maps/sub-01_a saliency_slices", "confusion/confusion_lr-0.001"]
    assert sorted(found.Runs()["tensorboard/images"]["images"]) == tags
    for tag in tags:
        (image,) = found.Images("tensorboard/images", tag)
        assert (image.width, image.height) == (5, 3)
