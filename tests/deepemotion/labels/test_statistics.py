from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from deepemotion import config_files
from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError
from deepemotion.labels import annotations
from deepemotion.labels.consensus import TimeGrid, labels_given
from deepemotion.labels.rules import Rule
from deepemotion.labels.statistics import LabelStatistics, compare_clusters

NAMES = ("A", "B", "C", "D")
answers = hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.integers(1, 30), st.just(4)))


def patterns(*rows: str) -> NDArray[np.bool_]:
    """One observer (1, N, L): a string a label, with an x for each time it is given."""
    return np.array([[mark == "x" for mark in row] for row in rows]).T[None]


@given(answers)
def test_the_matrices_are_those_of_the_shares_over_time(given_labels: NDArray[np.bool_]) -> None:
    statistics = LabelStatistics.of(given_labels, NAMES)
    shares = given_labels.mean(axis=0)
    np.testing.assert_allclose(statistics.covariance, np.cov(shares, rowvar=False, bias=True), atol=1e-12)
    varies = shares.std(axis=0) > 1e-9
    correlation = statistics.correlation
    assert np.array_equal(~np.isnan(np.diagonal(correlation)), varies)
    if varies.sum() > 1:
        expected = np.corrcoef(shares[:, varies], rowvar=False)
        np.testing.assert_allclose(correlation[np.ix_(varies, varies)], expected, atol=1e-9)


@given(answers)
def test_frequency_counts_observers_and_times(given_labels: NDArray[np.bool_]) -> None:
    statistics = LabelStatistics.of(given_labels, NAMES)
    assert statistics.frequency.sum() == given_labels.sum()
    assert (statistics.observers, statistics.times) == given_labels.shape[:2]


def test_labels_given_together_are_clustered_under_the_most_frequent() -> None:
    given_labels = patterns("xxx...", "xx....", "...xxx", "......")
    clusters = LabelStatistics.of(given_labels, NAMES).propose_clusters(2)
    assert clusters == {"A": ["A", "B"], "C": ["C"], "NONE": ["D"]}


def test_too_few_labels_for_the_clusters_are_refused() -> None:
    with pytest.raises(UserError, match="only 1 labels were given, too few for 2 clusters"):
        LabelStatistics.of(patterns("xx.", "...", "...", "xxx"), NAMES).propose_clusters(2)


@given(answers, st.integers(2, 4))
def test_proposed_clusters_partition_the_labels(given_labels: NDArray[np.bool_], count: int) -> None:
    statistics = LabelStatistics.of(given_labels, NAMES)
    try:
        clusters = statistics.propose_clusters(count)
    except UserError:
        return
    assert sorted(label for members in clusters.values() for label in members) == list(NAMES)
    assert 1 <= len(set(clusters) - {"NONE"}) <= count
    assert all(name in members for name, members in clusters.items() if name != "NONE")


def test_tables_name_their_rows_and_columns(tmp_path: Path) -> None:
    statistics = LabelStatistics.of(patterns("xx..", "..xx", "x...", "...."), NAMES)
    statistics.write(tmp_path)
    frequency = (tmp_path / "frequency.tsv").read_text().splitlines()
    assert frequency == [
        "label\tgiven\trelative",
        "A\t2\t1.0000",
        "B\t2\t1.0000",
        "C\t1\t0.5000",
        "D\t0\t0.0000",
    ]
    covariance = (tmp_path / "covariance.tsv").read_text().splitlines()
    assert covariance[:2] == ["label\tA\tB\tC\tD", "A\t0.25\t-0.25\t0.125\t0"]
    assert (tmp_path / "correlation.tsv").read_text().splitlines()[4] == "D\tnan\tnan\tnan\tnan"


def test_two_mappings_are_compared_side_by_side() -> None:
    statistics = LabelStatistics.of(patterns("x", "x", "."), ("A", "B", "C"))
    table = compare_clusters(statistics, {"A": "P", "B": "P", "C": "NONE"}, {"A": "A", "B": "B", "C": "A"})
    assert table == "label\tgiven\tconfigured\tproposed\nA\t1\tP\tA\nB\t1\tP\tB\nC\t0\tNONE\tA\n"


def test_the_real_frequencies_are_those_of_figure_1(shared_annotations: Path) -> None:
    rule = Rule.read(config_files.find("paper", "labels"))
    movie = Dataset.read(config_files.find("studyforrest", "datasets"))
    observers = annotations.read(shared_annotations, rule.observers, rule.class_of)
    given_labels = labels_given(observers, TimeGrid.of_movie(movie, rule), rule)
    frequency = np.sort(LabelStatistics.of(given_labels, tuple(rule.class_of)).frequency)[::-1]
    # Read off the published bars, so good to about a hundredth.
    published = [1, 0.94, 0.87, 0.63, 0.47, 0.26, 0.18, 0.15]
    np.testing.assert_allclose(frequency[:8] / frequency[0], published, atol=0.011)
