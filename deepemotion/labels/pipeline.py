"""From a folder of observers' annotations to the labels of a movie, as `deepemotion label` makes them."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from deepemotion.dataset.description import Dataset, Film
from deepemotion.errors import UserError
from deepemotion.files import write_text
from deepemotion.labels import annotations, consensus, table
from deepemotion.labels.consensus import Consensus, TimeGrid
from deepemotion.labels.rules import Rule

if TYPE_CHECKING:
    # It imports scipy's clustering, which labels alone do without.
    from deepemotion.labels.statistics import LabelStatistics


@dataclass(frozen=True)
class MadeLabels:
    """The labels of a movie, and what they were made of.

    `configured` is the rule that was asked for. `rule` is the one that decided: it has other clusters where these were
    proposed from the annotations. `events` are all of the observers', `outside` those that lie outside of the movie.
    """

    film: Film
    configured: Rule
    rule: Rule
    observers: tuple[str, ...]
    events: int
    outside: int
    grid: TimeGrid
    consensus: Consensus
    statistics: "LabelStatistics | None"

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many movie times each class won, NONE last."""
        return consensus.count_labelled(self.consensus, self.rule.classes)

    def write(self, path: Path) -> None:
        """Write labels.tsv. Raises UserError where it cannot be written."""
        table.write(
            path,
            classes=self.rule.classes,
            movie_time=self.grid.movie_time,
            emotion=self.consensus.emotion,
            votes=self.consensus.votes,
            observers=len(self.observers),
            soft=self.consensus.soft,
            observer_scores=self.consensus.observer_scores,
            film=self.film,
        )

    def write_clusters(self, path: Path) -> str:
        """Write STEM_clusters.tsv and .yaml beside labels.tsv at `path`; return the text of the former.

        It has the class of each label under the rule asked for and under the one that decided.
        """
        from deepemotion.labels.statistics import compare_clusters

        assert self.statistics is not None
        comparison = compare_clusters(self.statistics, self.configured.class_of, self.rule.class_of)
        write_text(path.with_name(f"{path.stem}_clusters.tsv"), comparison)
        # In the form that --clusters takes, so that the proposal can be edited and used again.
        write_text(path.with_name(f"{path.stem}_clusters.yaml"), yaml.safe_dump(self.rule.clusters, sort_keys=False))
        return comparison


def make_labels(
    folder: Path, dataset: Dataset, rule: Rule, *, propose_clusters: bool = False, with_statistics: bool = False
) -> MadeLabels:
    """Make the labels of a dataset's movie from the annotations in `folder`, by `rule`.

    `propose_clusters` replaces the rule's clusters by as many that are proposed from how labels go together. Either
    option computes the statistics. Raises UserError for malformed annotations, and where no movie time gets a label.
    """
    events = annotations.read(folder, rule.observers, rule.class_of)
    grid = TimeGrid.of_movie(dataset, rule)
    given = consensus.labels_given(events, grid, rule)
    if not given.any():
        raise UserError(
            f"{folder}: no label falls into the movie of dataset {dataset.name} ({grid.count} volumes of"
            f" {grid.step:g} s); are these the annotations of that movie, in seconds?"
        )
    deciding, statistics = rule, None
    if propose_clusters or with_statistics:
        from deepemotion.labels.statistics import LabelStatistics

        statistics = LabelStatistics.of(given, tuple(rule.class_of))
        if propose_clusters:
            proposed = statistics.propose_clusters(len(rule.classes))
            deciding = rule.replaced("--clusters auto", clusters=proposed)
    every = [event for of_observer in events.values() for event in of_observer]
    film = dataset.film
    outside = sum(event.start >= film.end or event.start < film.start >= event.end for event in every)
    decided = consensus.vote(given, deciding)
    made = MadeLabels(film, rule, deciding, tuple(events), len(every), outside, grid, decided, statistics)
    if made.counts[table.NONE] == grid.count:
        needed = deciding.votes_needed(len(events))
        if made.consensus.votes.max() < needed:
            raise UserError(f"{folder}: no emotion has {needed} votes; lower --threshold")
        raise UserError(f"{folder}: every emotion with {needed} votes is tied with another; use --ties first")
    return made
