"""A run with controls, really trained: its tables, what it says, its figure, and what verify finds of its controls."""

import json
import shutil

import h5py
import pandas as pd
import pytest
import trained_run

from deepemotion.subject_file.control_file import control_path
from launcher.checking.run import verify
from launcher.evidence.evidence import write_evidence
from launcher.report import figures
from launcher.report.figure_data import Choice
from launcher.report.html import write_report
from launcher.report.run_figure import Drawn
from launcher.run.directory import RunDirectory
from launcher.tables import stored
from launcher.tables.trials import write_tables


@pytest.fixture(scope="module")
def packed(tiny_packed, tmp_path_factory):
    """A copy of the packed subjects, whose controls may be damaged."""
    folder = tmp_path_factory.mktemp("packed")
    for path in tiny_packed.glob("*sub-01.h5"):
        shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def run(packed, tiny_labels, tmp_path_factory):
    """A run of one subject with two controls, each with a permutation. Read it only."""
    path = tmp_path_factory.mktemp("runs") / "controlled"
    return trained_run.make(path, packed, tiny_labels, ["time", "global-signal"], permutations=1)


def test_the_table_of_trials_names_controls_and_what_they_share_with_the_brain(run):
    trials = stored.read_frame(run.tables / "trials.parquet")
    assert sorted(trials["control"]) == ["", "", "global-signal", "global-signal", "time", "time"]
    assert trials["state"].eq("done").all()
    assert trials["basis"].nunique() == 1
    assert trials["setup"].nunique() == 3


def test_controls_are_scored_apart_from_the_brain(run):
    scores = pd.read_csv(run.tables / "statistics.csv", keep_default_na=False)
    assert scores["condition"].tolist() == ["lr-0.001"]
    assert scores["conditions"].tolist() == [1]
    compared = pd.read_csv(run.tables / "against_controls.csv").set_index("control")
    controls = pd.read_csv(run.tables / "controls.csv")
    assert set(compared.index) == {"time", "global-signal"}
    # Both were tested on all volumes of validation that the brain was.
    own = controls.set_index(controls["condition"].str.removeprefix("control-"))["accuracy"]
    assert compared["control_accuracy"].to_dict() == pytest.approx(own.to_dict())
    assert scores["best_control"].tolist() == [compared["control_accuracy"].idxmax()]
    assert scores["beats_controls"].tolist() == [compared["beats"].all()]
    evidence = write_evidence(run)
    assert [table.title.partition(":")[0] for table in evidence.tables][-1] == "Controls without a brain"
    (sentence,) = evidence.controls
    assert sentence.startswith("sub-01 (lr-0.001, random): ")


def test_a_run_with_controls_is_verified(run):
    found = verify(RunDirectory(run.path), volumes=True)
    assert (found.problems, found.notes, found.done) == ([], [], 6)


def test_controls_that_changed_or_are_damaged_are_named(run, packed):
    path = control_path(packed, "01")
    whole = path.read_bytes()
    try:
        with h5py.File(path, "r+") as file:
            file["global-signal/0/values"][0, 0] += 1
        (problem,) = verify(run, volumes=True).problems
        assert "controls_sub-01.h5" in problem
        path.write_bytes(whole[: len(whole) // 2])
        (problem,) = verify(run).problems
        assert "controls_sub-01.h5: truncated" in problem
        path.unlink()
        found = verify(run)
        assert (found.problems, len(found.notes)) == ([], 1)
    finally:
        path.write_bytes(whole)


def test_the_brain_is_drawn_against_its_controls(run):
    (drawn,) = (made for made in figures.draw(run, write_tables(run), Choice()) if made.name.startswith("controls"))
    assert isinstance(drawn, Drawn)
    assert drawn.name == "controls_lr-0.001"
    (axes,) = drawn.figure.axes
    accuracy = pd.read_csv(run.tables / "statistics.csv")["accuracy"].iloc[0]
    of_controls = pd.read_csv(run.tables / "against_controls.csv")["control_accuracy"]
    drawn_at = {round(float(line.get_xdata()[0]), 6) for line in axes.lines if len(line.get_xdata()) == 1}
    assert {round(100 * value, 6) for value in (accuracy, *of_controls)} <= drawn_at
    legend = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    assert {"brain", "time", "global-signal"} <= set(legend)


def test_json_of_the_results_has_every_number_unrounded(run, in_process):
    code, out, err = in_process("deepemotion-launch", "results", run.path, "--json")
    assert (code, err) == (0, "")
    content = json.loads(out, parse_constant=pytest.fail)
    scores = pd.read_csv(run.tables / "statistics.csv")
    assert [row["accuracy"] for row in content["scores"]] == pytest.approx(scores["accuracy"].tolist(), rel=1e-14)
    assert set(content["scores"][0]) == set(scores.columns)
    # What is not known is null.
    assert [[value is None for value in row.values()] for row in content["scores"]] == scores.isna().to_numpy().tolist()
    assert len(content["controls"]) == len(pd.read_csv(run.tables / "controls.csv"))
    assert content["failed"] == content["comparisons"] == []
    assert content["states"] == {"done": len(pd.read_csv(run.tables / "trials.csv"))}
    assert set(content["sentences"]) == {"result", "controls", "pairs", "curves", "notes"}


def test_the_report_shows_the_controls(run):
    html = write_report(run).read_text()
    assert "The brain against controls (lr-0.001)" in html
    assert "Controls without a brain" in html
    evidence = write_evidence(run)
    assert evidence.controls[0] in html
    (sentence,) = evidence.result
    assert sentence.startswith("Published protocol (random), sub-01 (lr-0.001): ")
    # The first thing below the heading.
    assert html.index("</h1>") < html.index(sentence) < html.index("Trials: ")
