"""What TensorBoard shows of a run: figure 3 with one line per folder, the trials' curves, and the page HParams.

TensorBoard ticks all of its runs (folders with event files) only where there are at most 40, and on its page Custom
Scalars it gives each a colour and draws margins, which it never smooths. docs/tensorboard.md has what it does.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from tensorboard.plugins.custom_scalar.layout_pb2 import Category, Chart, Layout, MarginChartContent

from launcher.run import locks
from launcher.run.directory import RunDirectory
from launcher.tables import about, event_files, hparams, tested_scores
from launcher.tables.aggregates import aggregate
from launcher.tables.event_files import Events
from launcher.tables.live import LiveTables
from launcher.tables.trial_curves import TrialCurves

# How old the aggregates may be while trials run, in seconds.
_REFRESH_EVERY_S = 15


def _with_margins(tag: str) -> tuple[str, str, str]:
    return f"{tag}/mean", f"{tag}/minus_sd", f"{tag}/plus_sd"


# Each line of figure 3, whose folder has its name, and the tags of `aggregate` that are its mean and its margins. The
# seven colours of Custom Scalars are given in this order.
_LINES = {
    "training": _with_margins("single_subject/accuracy/train"),
    "validation": _with_margins("single_subject/accuracy/validation"),
    "pooled-training": ("pooled/accuracy/train",) * 3,
    "pooled-validation": ("pooled/accuracy/validation",) * 3,
    "chance": ("reference/chance",) * 3,
    "labels-alone": ("reference/label_only",) * 3,
    "best-control": ("reference/best_control",) * 3,
}
_PICTURES = ("figure-5", "figure-6", "confusion", "timeline", "controls")
# The groups of TensorBoard's cards, which it sorts. It smooths what it draws on Time Series unless one tells it not to.
_MEANS, _MARGINS = "figure-3, set Smoothing to 0", "figure-3, spread"
# TensorBoard's page Custom Scalars ticks no run at first where there are more than this, in all of its folders.
_MOST_RUNS = 40
# Folders besides those of the rows of HParams: the lines, two of trials, the text, the images, and the machine.
_OTHER_RUNS = len(_LINES) + 5


class Board:
    """The event files of a run in its folder tensorboard/, for one process that keeps them up to date."""

    def __init__(self, run: RunDirectory, usage: Callable[[], Mapping[str, float]] = dict) -> None:
        """`usage` tells how busy the machine is, in values by their names."""
        self._run = run
        self._usage = usage
        self._counted: tuple[float, int] | None = None
        self._tables = LiveTables(run)
        self._drawn: dict[str, pd.DataFrame] = {}
        self._rows: list[hparams.Row] = []
        self._text = ""

    def refresh(self) -> None:
        """Bring the files up to date unless another session of the run is doing so or has just done so."""
        with self._run.only_one("aggregates", every_s=_REFRESH_EVERY_S) as due:
            if due:
                self.write()

    def write(self, tested: hparams.Tested | None = None) -> None:
        """Bring the files up to date; `tested` are scores of models that are known to the evidence alone.

        A mean changes when another model reaches its epoch, but event files can only grow: the lines that have changed
        are written to new files, at most one point per epoch. Raises UserError where a trial's file is damaged.
        """
        with locks.acquire(self._run.tensorboard, ".lock"):
            try:
                self._write(self._run.tensorboard, tested)
            except BaseException:
                # What was read and not written would not be read again.
                self._tables = LiveTables(self._run)
                raise

    def _write(self, folder: Path, tested: hparams.Tested | None) -> None:
        first = not len(self._tables.trials)
        plan = self._tables.look()
        curves = TrialCurves(folder / "trials")
        if not curves.add(self._tables.fresh, whole=first):
            curves.write(self._tables.epochs)
        self._draw(aggregate(self._tables.epochs, self._tables.trials))
        tested = tested_scores.known(folder, self._tables.trials, tested)
        rows = hparams.model_rows(plan, self._tables.trials, tested)
        self._write_rows(rows[: _MOST_RUNS - _OTHER_RUNS])
        self._write_text(about.text(self._run, plan, self._tables.trials, len(rows) - len(self._rows)))
        self._add_machine()
        _remove_old(folder)

    def _draw(self, values: pd.DataFrame) -> None:
        """Write the lines of figure 3 that have changed."""
        for order, (line, tags) in enumerate(_LINES.items()):
            points = _points(values, tags)
            if line in self._drawn and points.equals(self._drawn[line]):
                continue
            if points.empty:
                event_files.remove(self._run.tensorboard / line)
                self._drawn[line] = points
                continue
            events = Events()
            if order == 0:
                events.layout(layout(sorted(set(values["condition"]))))
            for epoch in sorted(points["epoch"].unique()):
                of_epoch = points[points["epoch"] == epoch]
                events.scalars(int(epoch), dict(zip(of_epoch["tag"], of_epoch["value"], strict=True)))
            events.replace(self._run.tensorboard / line, order)
            self._drawn[line] = points

    def _write_rows(self, rows: list[hparams.Row]) -> None:
        """Write the rows of the page HParams, if they have changed."""
        if rows == self._rows:
            return
        folder = self._run.tensorboard / "settings"
        names = [event_files.folder_name(row.name) for row in rows]
        known = list(dict.fromkeys(name for row in rows for name in row.known))
        for name, row in zip(names, rows, strict=True):
            events = Events()
            if row is rows[0]:
                hparams.add_columns(events, rows, known)
            hparams.add_row(events, row)
            events.replace(folder / name)
        for old in folder.glob("*"):
            if old.name not in names:
                event_files.remove(old)
        self._rows = rows

    def _add_machine(self) -> None:
        """Add how busy the machine is, and how fast the whole run trains, if it has trained since the last time."""
        now, epochs = time.monotonic(), len(self._tables.epochs)
        earlier, self._counted = self._counted, (now, epochs)
        if earlier is None or epochs <= earlier[1]:
            return
        values = {"epochs a second": (epochs - earlier[1]) / (now - earlier[0]), **self._usage()}
        events = Events()
        folder = self._run.tensorboard / "machine"
        path = event_files.newest(folder) or events.replace(folder)
        # The steps are seconds since the file began.
        step = max(0, int(time.time() - event_files.began(path)))
        events.scalars(step, {f"machine/{name}": value for name, value in values.items()})
        events.append(path)

    def _write_text(self, text: str) -> None:
        if text != self._text:
            events = Events()
            events.text("run", text)
            events.replace(self._run.tensorboard / "about")
            self._text = text


def layout(conditions: list[str]) -> Layout:
    """Return the charts of the page Custom Scalars: figure 3 of each condition, each line a run of TensorBoard's."""
    charts = []
    # With one series a chart, a run that lacks it is no error, and each run's line has a colour of its own.
    for condition in conditions:
        mean, lower, upper = _tags(condition)
        series = MarginChartContent.Series(value=mean, lower=lower, upper=upper)
        charts.append(Chart(title=condition, margin=MarginChartContent(series=[series])))
    # TensorBoard shows them in reverse.
    return Layout(category=[Category(title="Figure 3: accuracy over epochs", chart=charts[::-1])])


def _tags(condition: str) -> tuple[str, str, str]:
    """Return the tags of a condition's mean and of 1 SD below and above it."""
    # TensorBoard takes the run of a line from between the brackets of "TAG (RUN)": a tag must have none.
    name = condition.translate(str.maketrans("()", "[]"))
    return f"{_MEANS}/{name}", f"{_MARGINS}/{name}: mean - 1 SD", f"{_MARGINS}/{name}: mean + 1 SD"


def _points(values: pd.DataFrame, tags: tuple[str, str, str]) -> pd.DataFrame:
    """Return epoch, tag, value of a line of figure 3: its mean, 1 SD below and above it, or three times its value."""
    known = values[values["value"].notna()]
    parts = []
    for place, tag in enumerate(tags):
        rows = known[known["tag"] == tag]
        shown = {condition: _tags(condition)[place] for condition in rows["condition"].unique()}
        parts.append(rows[["epoch", "value"]].assign(tag=rows["condition"].map(shown)))
    return pd.concat(parts, ignore_index=True)


def write_images(run: RunDirectory, figures: Path) -> None:
    """Show the run's figures of the folder `figures` that are not live here, and the brain maps that were drawn."""
    pictures = {f"{kind}/{path.stem}": path for kind in _PICTURES for path in sorted(figures.glob(f"{kind}_*.png"))}
    maps = sorted((run.path / "explain").glob("*/*_slices.png"))
    pictures |= {f"brain maps/{path.parent.name} {path.stem}": path for path in maps}
    events = Events()
    for tag, path in pictures.items():
        events.image(tag, path.read_bytes())
    if events:
        events.replace(run.tensorboard / "images")


def _remove_old(folder: Path) -> None:
    """Remove the folders of conditions that earlier versions wrote."""
    for old in folder.glob("*/"):
        if old.name not in (*_LINES, "trials", "settings", "about", "images", "machine"):
            event_files.remove(old)


def write_aggregates(run: RunDirectory, tested: hparams.Tested | None = None) -> None:
    """Bring the files that TensorBoard reads up to date; `tested` as in `Board.write`."""
    Board(run).write(tested)
