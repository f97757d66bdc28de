"""The HTML reports: of a run, with every number and figure from its tables, and of several runs beside each other."""

import base64
from pathlib import Path

import jinja2
import pandas as pd

from deepemotion.figures import style
from deepemotion.files import write_text
from launcher.evidence.compared_runs import Comparison
from launcher.evidence.evidence import write_evidence
from launcher.report import figures, input_data, significant_maps
from launcher.report.figure_data import Choice
from launcher.report.run_figure import Drawn
from launcher.run.directory import RunDirectory
from launcher.tables.tensorboard import write_aggregates, write_images


def write_report(run: RunDirectory) -> Path:
    """Write the run's report.html and the figures beside it (figures/NAME.png and .svg); return the report's path."""
    # Before figures are drawn, which take seconds: both may be damaged.
    experiment, launches, maps = run.experiment_text(), run.read_provenance(), significant_maps.read(run)
    evidence = write_evidence(run)
    write_aggregates(run, evidence.tested)
    folder = run.report.parent / "figures"
    pictures, skipped = {}, set()
    for made in figures.draw(run, evidence.trials, Choice()):
        if isinstance(made, Drawn):
            style.save(made.figure, folder, made.name)
            pictures[made.name] = _data_uri(folder / f"{made.name}.png")
        else:
            # Once for all conditions.
            skipped.add(f"{figures.title(made.name.partition('_')[0])}: left out: {made.why}")
    write_images(run, folder)
    html = _template("report.html").render(
        name=run.path.name,
        experiment=experiment,
        states=evidence.trials.states,
        result=evidence.result,
        tables=evidence.tables,
        pairs=[*evidence.controls, *evidence.pairs, *evidence.curves],
        data=input_data.read(run),
        notes=evidence.notes,
        trials=evidence.trials.table.to_dict("records"),
        failed=evidence.trials.failed.table.to_dict("records"),
        figures=pictures,
        maps=[(one, one.figure and _data_uri(one.figure)) for one in maps],
        skipped=sorted(skipped),
        launches=launches,
    )
    write_text(run.report, html)
    return run.report


def write_comparison(comparison: Comparison, path: Path) -> None:
    """Write the report of several runs: their conditions in one table, and whether they are comparable."""
    write_text(path, _template("comparison.html").render(comparison=comparison, tables=[comparison.table]))


def _template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("launcher"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": _percent, "heading": figures.title}
    return environment.get_template(name)


def _percent(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{100 * value:.1f}"


def _data_uri(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()
