"""`deepemotion label`: observers' annotations to labels.tsv."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deepemotion.console import answer, say
from deepemotion.errors import UserError

if TYPE_CHECKING:
    from deepemotion.labels.rules import Rule


class Ties(StrEnum):
    """What becomes of equally frequent emotions."""

    first = "first"
    none = "none"


def label(
    annotations: Annotated[Path, typer.Option(help="Folder with one CSV file an observer.")],
    dataset: Annotated[str, typer.Option(help="The movie: studyforrest, or the path of a dataset's description.")],
    rule: Annotated[str, typer.Option(help="A rule that ships (paper, interval), or a path.")],
    out: Annotated[Path, typer.Option(help="The table to write.")] = Path("labels.tsv"),
    observers: Annotated[str | None, typer.Option(help="av, ao, all or ids: av1o01,av1o02; else the rule's.")] = None,
    clusters: Annotated[str | None, typer.Option(help="YAML of emotion: [labels], or `auto`; else the rule's.")] = None,
    threshold: Annotated[
        str | None, typer.Option(help="Votes needed: a number, half, majority; else the rule's.")
    ] = None,
    ties: Annotated[Ties | None, typer.Option(help="Between equals: the first observer's, or none.")] = None,
    statistics: Annotated[Path | None, typer.Option(help="Folder for figure 1 and the tables behind it.")] = None,
) -> None:
    """Turn observers' annotations into the emotion of each movie time."""
    from deepemotion import config_files, files
    from deepemotion.dataset import Dataset
    from deepemotion.labels import annotations as raw
    from deepemotion.labels import consensus, table

    movie = Dataset.read(config_files.find(dataset, "datasets"))
    changes: dict[str, Any] = {"observers": observers, "threshold": threshold, "ties": ties.value if ties else None}
    chosen = _choose_rule(rule, changes, None if clusters == "auto" else clusters)
    events = raw.read(annotations, chosen.observers, chosen.class_of)
    grid = consensus.Grid.of_movie(movie, chosen)
    given = consensus.labels_given(events, grid, chosen)
    if not given.any():
        raise UserError(
            f"{annotations}: no label falls into the movie of dataset {movie.name} ({grid.count} volumes of"
            f" {grid.step:g} s); are these the annotations of that movie, in seconds?"
        )

    final = chosen
    if clusters == "auto" or statistics is not None:
        from deepemotion.labels.statistics import LabelStatistics, compare_clusters

        figure_1 = LabelStatistics.of(given, tuple(chosen.class_of))
        if clusters == "auto":
            proposed = figure_1.propose_clusters(len(chosen.classes))
            final = chosen.replaced("--clusters auto", clusters=proposed)
    decided = consensus.vote(given, final)
    counts = consensus.count_labelled(decided, final.classes)
    if counts[table.NONE] == grid.count:
        needed = final.votes_needed(len(events))
        if decided.votes.max() < needed:
            raise UserError(f"{annotations}: no emotion has {needed} votes; lower --threshold")
        raise UserError(f"{annotations}: every emotion with {needed} votes is tied with another; say --ties first")

    if clusters == "auto":
        import yaml

        comparison = compare_clusters(figure_1, chosen.class_of, final.class_of)
        files.write_text(out.with_name(f"{out.stem}_clusters.tsv"), comparison)
        # In the form --clusters takes, so that the proposal can be edited and used again.
        files.write_text(out.with_name(f"{out.stem}_clusters.yaml"), yaml.safe_dump(final.clusters, sort_keys=False))
        answer(comparison.rstrip())
    if statistics is not None:
        from deepemotion.figures import labels as label_figure

        caption = f"Observers {', '.join(events)}; rule {Path(rule).stem}, dataset {movie.name}."
        figure_1.write(statistics)
        label_figure.save(label_figure.draw(figure_1, final.class_of, caption), statistics, "figure1")
        say(f"{statistics}: figure1.png, figure1.svg, frequency.tsv, covariance.tsv, correlation.tsv")
    table.write(
        out,
        classes=final.classes,
        movie_time=grid.movie_time,
        emotion=decided.emotion,
        votes=decided.votes,
        observers=len(events),
        soft=decided.soft,
    )
    counted = ", ".join(f"{name} {count}" for name, count in counts.items())
    answer(f"{out}: {grid.count - counts[table.NONE]} of {grid.count} movie times labelled: {counted}")


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
