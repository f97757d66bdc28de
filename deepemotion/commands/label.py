"""`deepemotion label`: observers' annotations to labels.tsv."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepemotion.console import answer, say

if TYPE_CHECKING:
    from deepemotion.labels.pipeline import MadeLabels
    from deepemotion.labels.rules import Rule
    from deepemotion.scoring.ceiling import Ceiling


class Ties(StrEnum):
    """Which label equally frequent emotions give."""

    first = "first"
    none = "none"


def label(
    annotations: Annotated[Path, typer.Option(help="Folder with one CSV file per observer.")],
    dataset: Annotated[str, typer.Option(help="The movie: studyforrest, or the path of a dataset's description.")],
    rule: Annotated[str, typer.Option(help="A built-in rule (paper, interval), or the path of your own.")],
    out: Annotated[Path, typer.Option(help="The labels.tsv to write.")] = Path("labels.tsv"),
    observers: Annotated[str | None, typer.Option(help="av, ao, all or ids: av1o01,av1o02; else the rule's.")] = None,
    clusters: Annotated[str | None, typer.Option(help="YAML of emotion: [labels], or `auto`; else the rule's.")] = None,
    threshold: Annotated[
        str | None, typer.Option(help="Votes needed: a number, half, majority; else the rule's.")
    ] = None,
    ties: Annotated[
        Ties | None, typer.Option(help="The label where emotions are tied: the first observer's, or none.")
    ] = None,
    statistics: Annotated[Path | None, typer.Option(help="Folder for figure 1 and the tables behind it.")] = None,
) -> None:
    """Turn observers' annotations into the emotion of each movie time."""
    from deepemotion import config_files
    from deepemotion.dataset.description import Dataset
    from deepemotion.labels.pipeline import make_labels
    from deepemotion.labels.table import NONE
    from deepemotion.scoring import ceiling

    movie = Dataset.read(config_files.find(dataset, "datasets"))
    changes: dict[str, Any] = {"observers": observers, "threshold": threshold, "ties": ties.value if ties else None}
    propose = clusters == "auto"
    chosen = _choose_rule(rule, changes, None if propose else clusters)
    made = make_labels(annotations, movie, chosen, propose_clusters=propose, with_statistics=statistics is not None)
    if made.outside:
        outside = f"{made.outside} of {made.events} events"
        say(f"note: {outside} lie outside of the movie ({made.film.span}), and do not count")
    if propose:
        answer(made.write_clusters(out).rstrip())
    of_observers = _ceiling(made)
    if statistics is not None:
        _write_figure_1(made, statistics, f"rule {Path(rule).stem}, dataset {movie.name}")
        ceiling.write(statistics / "ceiling.tsv", of_observers, made.rule.classes)
    made.write(out)
    counted = ", ".join(f"{name} {count}" for name, count in made.counts.items())
    answer(f"{out}: {made.grid.count - made.counts[NONE]} of {made.grid.count} movie times labelled: {counted}")
    if of_observers.overall.value == of_observers.overall.value:
        words = ceiling.in_words(of_observers, made.rule.classes)
        answer(f"an observer agrees with the label of the others in {words}")
    else:
        answer("observers cannot be compared: without one of them, the others never decide a label")


def _ceiling(made: "MadeLabels") -> "Ceiling":
    """Return how well observers agree with each other over the movie times that have a label."""
    import numpy as np

    from deepemotion.samples.movie_blocks import label_blocks
    from deepemotion.scoring.ceiling import observers_ceiling

    rows = made.consensus.emotion >= 0
    label, scores = made.consensus.emotion[rows], made.consensus.observer_scores
    block = label_blocks(np.zeros(len(label), np.int64), made.grid.movie_time[rows], label)
    compared = scores.compared[rows].astype(np.float64)
    return observers_ceiling(compared, scores.right[rows], label, block, len(made.rule.classes))


def _write_figure_1(made: "MadeLabels", folder: Path, of: str) -> None:
    from deepemotion.figures import labels as label_figure
    from deepemotion.figures import style

    assert made.statistics is not None
    made.statistics.write(folder)
    caption = f"Observers {', '.join(made.observers)}; {of}."
    style.save(label_figure.draw(made.statistics, made.rule.class_of, caption), folder, "figure1")
    say(f"{folder}: figure1.png, figure1.svg, frequency.tsv, covariance.tsv, correlation.tsv, ceiling.tsv")


def _choose_rule(rule: str, changes: dict[str, Any], clusters: str | None) -> "Rule":
    from deepemotion import config_files
    from deepemotion.labels.rules import Rule

    chosen = Rule.read(config_files.find(rule, "labels"))
    for option, value in changes.items():
        if value is not None:
            chosen = chosen.replaced(f"--{option} {value}", **{option: value})
    if clusters is not None:
        chosen = chosen.replaced(clusters, clusters=config_files.read_yaml(Path(clusters)))
    return chosen
