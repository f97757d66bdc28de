from pathlib import Path

import pytest

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.labels.rules import Rule


@pytest.fixture
def rule() -> Rule:
    return Rule.read(config_files.find("interval", "labels"))


@pytest.mark.parametrize("name", ["paper", "interval"])
def test_rules_that_ship_sort_22_labels_into_5_classes(name: str) -> None:
    rule = Rule.read(config_files.find(name, "labels"))
    assert rule.classes == ("ANGER", "FEAR", "HAPPINESS", "LOVE", "SADNESS")
    assert len(rule.class_of) == 22
    assert list(rule.class_of) == sorted(rule.class_of)
    assert rule.class_of["GLOATING"] == "NONE"


@pytest.mark.parametrize(
    ("threshold", "observers", "needed"),
    [("half", 8, 4), ("half", 9, 5), ("half", 1, 1), ("majority", 8, 5), ("majority", 3, 2), ("3", 3, 3), (1, 9, 1)],
)
def test_a_threshold_is_a_share_or_a_number(rule: Rule, threshold: object, observers: int, needed: int) -> None:
    assert rule.replaced("test", threshold=threshold).votes_needed(observers) == needed


def test_a_threshold_above_the_number_of_observers_is_refused(rule: Rule) -> None:
    with pytest.raises(UserError, match="only 3 observers are selected"):
        rule.replaced("test", threshold=4).votes_needed(3)


@pytest.mark.parametrize("threshold", ["most", 0, -1, 2.5, "", True])
def test_another_threshold_is_refused(rule: Rule, threshold: object) -> None:
    with pytest.raises(UserError, match=r"threshold: .*neither half, nor majority, nor a number"):
        rule.replaced("test", threshold=threshold)


@pytest.mark.parametrize(
    ("clusters", "message"),
    [
        ({"ANGER": ["HATE"], "FEAR": ["HATE"]}, "HATE is in ANGER and in FEAR"),
        ({"ANGER": ["HATE", "HATE"]}, "HATE is in ANGER and in ANGER"),
        ({"anger": ["HATE"]}, "'anger' is not a class name"),
        ({"ANGER": []}, "ANGER has no label"),
        ({"NONE": ["HATE"]}, "no cluster of labels"),
        ({"ANGER": "HATE"}, "clusters.ANGER: Input should be a valid list"),
        ({"ANGER": [1]}, "clusters.ANGER.0: Input should be a valid string"),
    ],
)
def test_clusters_that_are_no_partition_are_refused(rule: Rule, clusters: object, message: str) -> None:
    with pytest.raises(UserError, match=f"mine.yaml: .*{message}"):
        rule.replaced("mine.yaml", clusters=clusters)


def test_observers_may_be_written_as_one_string(rule: Rule) -> None:
    assert rule.replaced("test", observers="av1o01, ao").observers == ["av1o01", "ao"]


def test_an_unknown_key_is_named_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(config_files.find("paper", "labels").read_text() + "treshold: 4\n")
    with pytest.raises(UserError, match=r"mine\.yaml: treshold: no such key; did you mean threshold"):
        Rule.read(path)
