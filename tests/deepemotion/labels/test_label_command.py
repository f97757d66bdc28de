import re
import sys
from pathlib import Path

import pytest

from deepemotion import cli
from deepemotion.labels.table import Labels

MOVIE = """
name: short
tr: 2.0
subjects: ["01"]
segments: [{run: 1, start: 0, end: 20}]
files: {bold: "{subject}_{run}.nii.gz"}
"""
EVENTS = {
    "av1o01": "0,6,FORREST,LOVE\n8,12,FORREST,FEAR\n",
    "av1o02": "0,6,FORREST,ADMIRATION\n9,13,JENNY,HATE SHAME\n",
    "ao1o01": "1,3,MAN,HOPE\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "raw").mkdir()
    for observer, rows in EVENTS.items():
        (tmp_path / "raw" / f"{observer}.csv").write_text("start,end,character,emotion\n" + rows)
    (tmp_path / "movie.yaml").write_text(MOVIE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int | str | None:
    base = ["deepemotion", "label", "--annotations", "raw", "--dataset", "movie.yaml"]
    monkeypatch.setattr(sys, "argv", [*base, *options])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return exit_.value.code


def test_labels_are_written_and_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--rule", "interval", "--observers", "av", "--out", "out/labels.tsv") == 0
    assert (
        "3 of 10 movie times labelled: ANGER 0, FEAR 0, HAPPINESS 0, LOVE 3, SADNESS 0, NONE 7"
        in capsys.readouterr().out
    )
    labels = Labels.read(folder / "out" / "labels.tsv")
    assert labels.classes == ("ANGER", "FEAR", "HAPPINESS", "LOVE", "SADNESS")
    assert labels.movie_time.tolist() == list(range(0, 20, 2))
    assert labels.emotion.tolist() == [3, 3, 3, *[-1] * 7]
    assert labels.soft[4].tolist() == [0.5, 0.5, 0, 0, 0.5]


def test_how_well_observers_agree_is_printed_and_stored(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--rule", "interval", "--observers", "av"]
    assert run(monkeypatch, *options) == 0
    assert "observers cannot be compared: without one of them, the others never decide" in capsys.readouterr().out
    (folder / "raw" / "av1o03.csv").write_text("start,end,character,emotion\n0,4,FORREST,LOVE\n4,6,FORREST,FEAR\n")
    assert run(monkeypatch, *options) == 0
    # Of three observers, two decide: all three are right twice; once only the third is compared, and wrong.
    assert "an observer agrees with the label of the others in 85.7 %: LOVE 85.7" in capsys.readouterr().out
    scores = Labels.read(folder / "labels.tsv").observer_scores
    assert scores is not None
    assert scores.compared.tolist() == [3, 3, 1, *[0] * 7]
    assert scores.right.tolist() == [3, 3, 0, *[0] * 7]


def test_events_outside_of_the_movie_are_counted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "start,end,character,emotion\n0,4000,FORREST,LOVE\n8000,12000,FORREST,FEAR\n20,20,JENNY,LOVE\n"
    (folder / "raw" / "av1o02.csv").write_text(rows)
    assert run(monkeypatch, "--rule", "interval", "--observers", "av") == 0
    assert "note: 2 of 5 events lie outside of the movie (0 to 20 s), and do not count" in capsys.readouterr().err


def test_the_real_files_give_the_published_table(
    folder: Path, shared_annotations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--annotations", str(shared_annotations), "--dataset", "studyforrest", "--rule", "paper"]
    assert run(monkeypatch, *options) == 0
    labels = Labels.read(folder / "labels.tsv")
    assert len(labels.emotion) == 3517
    assert (labels.emotion >= 0).sum() == 799


def test_options_replace_the_rules_values(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "mine.yaml").write_text("GOOD: [LOVE, ADMIRATION]\nBAD: [FEAR, HATE, SHAME]\nNONE: [HOPE]\n")
    options = ["--observers", "av1o01,av1o02", "--clusters", "mine.yaml", "--threshold", "1", "--ties", "first"]
    assert run(monkeypatch, "--rule", "interval", *options) == 0
    labels = Labels.read(folder / "labels.tsv")
    assert labels.classes == ("BAD", "GOOD")
    assert labels.emotion.tolist() == [1, 1, 1, -1, 0, 0, 0, -1, -1, -1]


def test_statistics_and_the_figure_are_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "--rule", "interval", "--observers", "all", "--threshold", "1", "--statistics", "s") == 0
    names = {path.name for path in (folder / "s").iterdir()}
    assert names == {"figure1.png", "figure1.svg", "frequency.tsv", "covariance.tsv", "correlation.tsv", "ceiling.tsv"}


def test_proposed_clusters_can_be_used_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--rule", "interval", "--observers", "all", "--threshold", "1"]
    assert run(monkeypatch, *options, "--clusters", "auto") == 0
    assert "label\tgiven\tconfigured\tproposed" in capsys.readouterr().out
    first = (folder / "labels.tsv").read_bytes()
    assert run(monkeypatch, *options, "--clusters", "labels_clusters.yaml") == 0
    assert (folder / "labels.tsv").read_bytes() == first
    assert len((folder / "labels_clusters.tsv").read_text().splitlines()) == 23


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rule", "none"], "none: no such file or built-in configuration; .* interval, paper"),
        (["--rule", "interval", "--observers", "av9"], "no observer 'av9'"),
        (["--rule", "paper"], "no observer 'av1o03'"),
        (["--rule", "interval", "--observers", "av", "--threshold", "7"], "only 2 observers are selected"),
        (["--rule", "interval", "--threshold", "x"], "error: --threshold x: 'x' is neither half, nor majority"),
        (["--rule", "interval", "--clusters", "missing.yaml"], "missing.yaml: cannot read"),
        (["--rule", "interval", "--clusters", "movie.yaml"], "movie.yaml: clusters"),
        (["--rule", "interval", "--observers", "all", "--threshold", "3"], "no emotion has 3 votes; lower --threshold"),
        (["--rule", "interval", "--dataset", "tied.yaml", "--observers", "av", "--threshold", "1"], "use --ties first"),
        (["--rule", "interval", "--dataset", "late.yaml"], "no label falls into the movie"),
        (["--rule", "interval", "--statistics", "movie.yaml/s"], "movie.yaml/s.*cannot write"),
    ],
)
def test_bad_input_ends_with_one_line_and_writes_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    (folder / "late.yaml").write_text(MOVIE.replace("start: 0, end: 20", "start: 100, end: 120"))
    (folder / "tied.yaml").write_text(MOVIE.replace("start: 0, end: 20", "start: 10, end: 12"))
    before = sorted(folder.rglob("*"))
    assert run(monkeypatch, *options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1
    assert re.search(message, lines[0])
    assert sorted(folder.rglob("*")) == before
