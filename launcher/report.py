"""The HTML report of a run: one file, with every number and figure from the run's tables."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from matplotlib.figure import Figure

from deepemotion import figures
from deepemotion.files import write_text
from launcher import results
from launcher.run_directory import RunDirectory
from launcher.tensorboard import aggregate


def write_report(run: RunDirectory) -> Path:
    """Write the run's report.html and the figures beside it (figures/NAME.png and .svg); return the report's path."""
    trials = results.trials_table(run)
    best = results.best_learning_rates(trials)
    drawn = draw(run, trials)
    for name, figure in drawn.items():
        (run.path / "figures").mkdir(exist_ok=True)
        for suffix in ("png", "svg"):
            figure.savefig(run.path / "figures" / f"{name}.{suffix}", dpi=150)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("launcher"), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["percent"] = _percent
    launches = json.loads(run.provenance_file.read_text()) if run.provenance_file.exists() else []
    html = environment.get_template("report.html").render(
        name=run.path.name,
        experiment=run.experiment_file.read_text(encoding="utf-8"),
        states=trials["state"].value_counts().to_dict(),
        summary=summary(best),
        best=best.to_dict("records"),
        trials=trials.to_dict("records"),
        failed=trials[trials["state"] == "failed"].to_dict("records"),
        figures={name: _data_uri(figure) for name, figure in drawn.items()},
        launches=launches,
    )
    write_text(run.report, html)
    return run.report


def draw(run: RunDirectory, trials: pd.DataFrame) -> dict[str, Figure]:
    """Return figures 3 and 5 for each condition that has finished trials."""
    values = aggregate(results.epochs_table(run), trials)
    done = trials[trials["state"] == "done"]
    drawn: dict[str, Figure] = {}
    for condition, rows in done.groupby("condition", sort=False):
        single = rows[rows["training_set"].str.startswith("sub-")]["training_set"].nunique()
        drawn[f"figure-3_{condition}"] = figures.learning_curves(values, str(condition), single)
        drawn[f"figure-5_{condition}"] = figures.emotion_by_model(emotion_accuracy(rows), single)
    return drawn


def emotion_accuracy(trials: pd.DataFrame) -> pd.DataFrame:
    """Return validation accuracy, emotions x models (single-subject ones first), mean over folds and seeds."""
    prefix = "accuracy_validation_"
    columns = [column for column in trials.columns if column.startswith(prefix)]
    table = trials.groupby("training_set")[columns].mean()
    order = sorted(table.index, key=lambda model: (not model.startswith("sub-"), model))
    return table.loc[order].rename(columns=lambda column: column.removeprefix(prefix)).T


def summary(best: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines of the summary: the single-subject models together (mean, SD), then every other model."""
    if best.empty:
        return []
    single = best[best["training_set"].str.startswith("sub-")]
    lines: list[dict[str, Any]] = []
    if len(single):
        columns = ["accuracy_validation", "label_only_accuracy", "majority_accuracy", "chance"]
        lines.append(
            {
                "model": f"single-subject (n = {len(single)})",
                "sd": single["accuracy_validation"].std(),
                "beaten": int(single["beats_labels"].sum()),
                "models": len(single),
                **{column: single[column].mean() for column in columns},
            }
        )
    for row in best[~best["training_set"].str.startswith("sub-")].to_dict("records"):
        named = {str(key): value for key, value in row.items()}
        lines.append(
            {**named, "model": row["training_set"], "sd": None, "beaten": int(row["beats_labels"]), "models": 1}
        )
    return lines


def _percent(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{100 * value:.1f}"


def _data_uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
