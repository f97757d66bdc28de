"""`figures`, `report` and `explain` on a finished run, as a user calls them: what files they leave."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.training.loop import train
from launcher.run.directory import RunDirectory

pytestmark = pytest.mark.slow

QUICK = ("--set", "train.epochs=2", "--set", "data.drop_overlaps=false", "--lr", "1e-3")
FOLDS = ("--set", "split.folds=2", "--set", "split.block_s=20", "--set", "split.gap_s=6")


@pytest.fixture(scope="module")
def finished(command, tiny_packed, tiny_labels, tmp_path_factory):
    """A run of 3 single-subject models and the pooled one, each once on permuted labels, and leave-one-subject-out."""
    runs = tmp_path_factory.mktemp("runs")
    where = ("--config", "demo", "--data", tiny_packed, "--labels", tiny_labels, "--runs", runs, "--name", "r")
    for words in (("--protocol", "block", "--permutations", "1"), ("--protocol", "subject")):
        done = command("deepemotion-launch", "--all-subjects", *where, *QUICK, *FOLDS, *words, "--plan-only")
        assert done.returncode == 0, done.stderr
    run = RunDirectory(runs / "r")
    # Here rather than under Ray, whose ways other tests go.
    for planned in run.read_plan():
        train(planned.trial, tiny_packed, tiny_labels, run.trial(planned.name), lambda metrics: None)
    return run


def first_fold(run, training_set):
    (name,) = (
        row.name for row in run.read_plan() if (row.training_set, row.fold, row.permutation) == (training_set, 1, 0)
    )
    return name


def is_drawn(png):
    with Image.open(png) as picture:
        assert min(picture.size) > 300, png
        pixels = np.asarray(picture.convert("L"))
    return 0.005 < (pixels < 200).mean() < 0.9


def test_figures_leaves_each_figure_as_png_and_svg(finished, command, tiny_dataset):
    words = ("--subject", "2", "--emotion", "fear", "--annotations", tiny_dataset / "annotations")
    done = command("deepemotion-launch", "figures", finished.path, *words)
    assert done.returncode == 0, done.stderr
    folder = finished.path / "figures"
    said = {
        "figure-1": "Which labels go together",
        "figure-2_cnn3d": "Conv3d 3×3×3, 64",
        "figure-3_lr-0.001": "Single-subject models, mean ± 1 SD (n = 3)",
        "figure-4_lr-0.001_sub-02_fear": "sub-02, its own model: held-out Fear scenes",
        "figure-5_lr-0.001": "(n = 3 single-subject models)",
        "figure-6_lr-0.001": "The model that left the subject out: unseen",
        "confusion_lr-0.001": "(n = 3 models,",
        "labels-alone_lr-0.001": "(7 models)",
        "calibration_lr-0.001": "pooled model, n = ",
        "timeline_lr-0.001_sub-02": "emotions along the movie",
    }
    assert {path.stem for path in folder.glob("*.png")} == set(said)
    assert done.stdout.split() == [str(folder / f"{name}.png") for name in sorted(said, key=done.stdout.index)]
    for name, text in said.items():
        assert is_drawn(folder / f"{name}.png"), name
        assert text in (folder / f"{name}.svg").read_text(encoding="utf-8"), name
    assert [line for line in done.stderr.splitlines() if "left out" in line] == [
        "learning-curve_lr-0.001: left out: needs trainings on a part of the data: launch with --learning-curve",
        "controls_lr-0.001: left out: needs finished trials of controls: launch with --controls all",
    ]


def test_the_report_shows_them(finished, command):
    done = command("deepemotion-launch", "report", finished.path)
    assert done.returncode == 0, done.stderr
    html = (finished.path / "report.html").read_text()
    assert html.count("data:image/png;base64,") == 9
    assert "left out: a run does not record where the observers" in html


def test_explain_leaves_maps_in_the_subject_s_space(finished, command, tiny_packed, tiny_dataset):
    trial = first_fold(finished, "sub-01")
    words = ("--volumes", "2", "--steps", "4", "--annotations", tiny_dataset / "annotations")
    done = command("deepemotion", "explain", finished.path, "--trial", trial, *words)
    assert done.returncode == 0, done.stderr
    out = finished.path / "explain" / trial
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        mask, affine = file.mask, file.affine
    maps = pd.read_csv(out / "maps.tsv", sep="\t")
    assert set(maps["method"]) == {"Grad-CAM", "Integrated gradients"}
    assert (maps["n"] <= 2).all()
    for method, emotion in zip(maps["method"], maps["emotion"], strict=True):
        image = nib.load(out / f"{method.lower().replace(' ', '-')}_{emotion}.nii.gz")
        assert image.shape == mask.shape
        np.testing.assert_allclose(image.affine, affine)
        assert not image.get_fdata()[~mask].any()
        if method != "Grad-CAM":
            assert image.get_fdata()[mask].any()
    for name in ("grad-cam_slices", "grad-cam_glass", "integrated-gradients_slices", "integrated-gradients_glass"):
        assert is_drawn(out / f"{name}.png"), name
    assert "less than an MNI brain" in " ".join((out / "integrated-gradients_glass.svg").read_text().split())
    assert is_drawn(out / "hidden.png")
    volumes = pd.read_parquet(out / "hidden.parquet")
    predictions = pd.read_parquet(finished.trial(trial).predictions)
    assert len(volumes) == len(predictions) == len(pd.read_csv(out / "hidden.csv"))
    assert {"subject", "run", "movie_time", "label", "pc1", "pc5", "arousal", "valence"} <= set(volumes)
    components = pd.read_csv(out / "hidden_components.csv")
    assert list(components["component"]) == [f"pc{i}" for i in range(1, 6)]
    assert components["explained_variance"].is_monotonic_decreasing
    assert components["r_valence"].between(-1, 1).all()


def test_explain_compares_with_planted_networks(finished, command, tiny_packed, tiny_labels, tiny_dataset, tmp_path):
    trial = first_fold(finished, "pooled")
    where = ("--data", tiny_packed, "--labels", tiny_labels, "--out", tmp_path / "out")
    words = ("--volumes", "1", "--steps", "2", "--truth", tiny_dataset / "truth")
    done = command("deepemotion", "explain", finished.trial(trial).path, *where, *words)
    assert done.returncode == 0, done.stderr
    assert "overlap with the planted networks" in done.stdout
    assert pd.read_csv(tmp_path / "out" / "maps.tsv", sep="\t")["overlap"].between(0, 1).all()


def test_what_cannot_be_explained_ends_with_one_line(finished, command, tiny_packed, tiny_labels, tmp_path):
    one = ("deepemotion", "explain", finished.path, "--trial", "sub-99")
    other = ("deepemotion", "explain", tmp_path, "--data", tiny_packed, "--labels", tiny_labels, "--out", tmp_path)
    for words, said in (
        (one, "sub-99: no such trial; the trials that have started are in"),
        (other, "no training here"),
    ):
        done = command(*words)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
