"""The simulated truth: story, observers, networks and noise have the properties they are there for."""

import csv
import itertools
from collections import Counter
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.linear_model import RidgeClassifier

from deepemotion import config_files
from deepemotion.dataset.description import Dataset
from deepemotion.simulation import brain, scan, story
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.observers import OBSERVERS, annotate
from deepemotion.simulation.parameters import Parameters, Stream

LAG_S = 4.0


def story_of(parameters: Parameters) -> tuple[Dataset, list[story.Block]]:
    dataset = parameters.dataset()
    return dataset, story.tell(parameters.generator(Stream.STORY), dataset)


def read_story(root: Path) -> dict[float, str]:
    with (root / "truth" / "story.tsv").open(newline="") as file:
        return {float(row["movie_time"]): row["emotion"] for row in csv.DictReader(file, delimiter="\t")}


def majority(texts: list[str], times: list[float], cluster_of: dict[str, str]) -> list[str]:
    """Vote as the paper does, but simpler: each observer's first event that covers a time, half of them must agree."""
    votes: list[Counter[str]] = [Counter() for _ in times]
    for text in texts:
        rows = list(csv.DictReader(text.splitlines()))
        for position, time in enumerate(times):
            given_labels = (
                cluster_of[row["emotion"]]
                for row in rows
                if row["emotion"] in cluster_of and float(row["start"]) <= time < float(row["end"])
            )
            label = next(given_labels, None)
            if label is not None:
                votes[position][label] += 1
    winners = [count.most_common(1) for count in votes]
    return [winner[0][0] if winner and winner[0][1] * 2 >= len(texts) else story.NONE for winner in winners]


def decode(root: Path, subject: str) -> float:
    """Return the accuracy of a linear classifier on each run, trained on the others, from lagged true labels."""
    dataset = Dataset.of_folder(root)
    mask = np.asarray(nib.load(dataset.masks(root, subject)[0]).dataobj) > 0
    emotion_at = read_story(root)
    patterns, labels, runs = [], [], []
    for segment in dataset.segments:
        volumes = np.asarray(nib.load(dataset.bold(root, subject, segment.run)).dataobj)[mask].T.astype(float)
        trend = np.vander(np.linspace(-1, 1, len(volumes)), 4)
        volumes -= trend @ np.linalg.lstsq(trend, volumes, rcond=None)[0]
        volumes /= volumes.std(axis=0)
        # Without the 16 s shared with the run before, and without what the lag looks back to.
        for index in range(10, len(volumes)):
            emotion = emotion_at[segment.start + index * dataset.tr - LAG_S]
            if emotion != story.NONE:
                patterns.append(volumes[index])
                labels.append(emotion)
                runs.append(segment.run)
    x, y, run = np.array(patterns), np.array(labels), np.array(runs)
    hits = 0
    for held_out in np.unique(run):
        train, test = run != held_out, run == held_out
        model = RidgeClassifier(alpha=x.shape[1]).fit(x[train], y[train])
        hits += int((model.predict(x[test]) == y[test]).sum())
    return hits / len(y)


@pytest.mark.parametrize(("signal", "low", "high"), [(1.0, 0.4, 1.0), (0.0, 0.0, 0.3)])
def test_emotion_is_decodable_across_runs_if_and_only_if_there_is_signal(
    tmp_path: Path, signal: float, low: float, high: float
) -> None:
    parameters = Parameters(subjects=1, shape=(24, 30, 12), volumes_per_run=60, signal=signal)
    simulate(tmp_path, parameters, jobs=1)
    assert low < decode(tmp_path, "01") < high


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(40, 80))
def test_short_runs_hold_several_emotions_and_a_third_to_a_half_is_labelled(seed: int, volumes: int) -> None:
    dataset, blocks = story_of(Parameters(volumes_per_run=volumes, seed=seed))
    emotions = [emotion for _, emotion in story.timeline(blocks, dataset)]
    assert 0.33 < np.mean([emotion != story.NONE for emotion in emotions]) < 0.6
    held = []
    for segment in dataset.segments:
        first = round(segment.start / dataset.tr)
        held.append(len(set(emotions[first : first + volumes]) - {story.NONE}))
    assert min(held) >= 2
    assert np.mean(held) >= 3.5


def test_blocks_of_a_whole_movie_are_as_long_as_the_real_ones() -> None:
    _, blocks = story_of(Parameters(volumes_per_run=(451, 441, 438, 488, 462, 439, 542, 338)))
    lengths = np.array([block.end - block.start for block in blocks]) / 2
    assert 4 <= np.median(lengths) <= 6
    assert 6 <= lengths.mean() <= 9
    assert lengths.max() > 20
    assert all(after.start > before.end for before, after in itertools.pairwise(blocks))


def test_clusters_are_those_of_the_published_rule() -> None:
    clusters = config_files.read_yaml(config_files.find("paper", "labels"))["clusters"]
    assert isinstance(clusters, dict)
    assert {emotion: sorted(labels) for emotion, labels in story.CLUSTERS.items()} == {
        emotion: sorted(labels) for emotion, labels in clusters.items() if emotion != "NONE"
    }


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10_000))
def test_majority_of_the_observers_recovers_the_story(seed: int) -> None:
    parameters = Parameters(volumes_per_run=40, seed=seed)
    dataset, blocks = story_of(parameters)
    texts = annotate(parameters, blocks, dataset.segments[-1].end)
    cluster_of = {label: emotion for emotion, labels in story.CLUSTERS.items() for label in labels}
    times, truth = zip(*story.timeline(blocks, dataset), strict=True)
    for group in ("av", "ao"):
        voted = majority([text for name, text in texts.items() if name.startswith(group)], list(times), cluster_of)
        labelled = [(guess, true) for guess, true in zip(voted, truth, strict=True) if true != story.NONE]
        assert np.mean([guess == true for guess, true in labelled]) > 0.6
        assert np.mean([guess != story.NONE for guess, true in zip(voted, truth, strict=True) if true == "NONE"]) < 0.3


def test_annotations_have_the_quirks_of_the_real_ones() -> None:
    parameters = Parameters(volumes_per_run=200)
    dataset, blocks = story_of(parameters)
    texts = annotate(parameters, blocks, dataset.segments[-1].end)
    assert sorted(texts) == sorted(OBSERVERS)
    labels = {label for group in story.CLUSTERS.values() for label in group} | {"GLOATING"}
    odd = []
    for name, text in texts.items():
        assert text.startswith("start,end,character,arousal,valence,direction,emotion,oncue,offcue\r\n")
        rows = list(csv.DictReader(text.splitlines()))
        starts = [float(row["start"]) for row in rows]
        assert starts == sorted(starts)
        assert all(0 <= float(row["start"]) < float(row["end"]) <= dataset.segments[-1].end for row in rows)
        assert {label for row in rows for label in row["emotion"].split()} <= labels
        assert any(row["emotion"] == "" for row in rows)
        assert any(" " in row["emotion"] for row in rows) == (name == "av1o04")
        assert all(start.is_integer() for start in starts) == (name != "ao1o01")
        odd += [int(start) % 2 for start in starts]
    assert 0.3 < np.mean(odd) < 0.6


def test_subjects_differ_from_the_template_in_proportion_to_idiosyncrasy() -> None:
    def likeness(idiosyncrasy: float) -> float:
        parameters = Parameters(idiosyncrasy=idiosyncrasy)
        template = brain.networks(parameters, None).ravel()
        subjects = (brain.networks(parameters, subject).ravel() for subject in (1, 2, 3, 4))
        return float(np.mean([np.corrcoef(template, subject)[0, 1] for subject in subjects]))

    assert likeness(0.0) == pytest.approx(1)
    assert 1 > likeness(0.3) > likeness(0.6) > likeness(1.0) > -0.1


def test_networks_of_emotions_overlap_in_part_and_stay_in_the_brain() -> None:
    parameters = Parameters()
    networks = brain.networks(parameters, 1)
    assert (networks[:, brain.radius(parameters.shape) >= 1] == 0).all()
    likeness = np.corrcoef(networks.reshape(len(networks), -1))[np.triu_indices(len(networks), 1)]
    assert 0.05 < likeness.max() < 0.8


def run_of(parameters: Parameters, count: int) -> NDArray[np.int16]:
    rng = parameters.generator(Stream.RUN, 1, 1)
    still = np.zeros((count, len(story.EMOTIONS)), dtype=np.float32)
    anatomy, networks = brain.anatomy(parameters, 1), brain.networks(parameters, 1)
    return np.stack(list(scan.volumes(rng, anatomy, networks, still, 0.0)), axis=-1)


def test_volumes_look_like_a_brain_on_a_dark_background_with_autocorrelated_smooth_noise() -> None:
    parameters = Parameters(shape=(20, 24, 12))
    volumes = run_of(parameters, 120).astype(float)
    radius = brain.radius(parameters.shape)
    assert 7000 < np.percentile(volumes[radius < 0.97], 1) < np.percentile(volumes[radius < 0.97], 99) < 13_000
    assert volumes[radius > 1.2].max() < 1000
    assert volumes[radius > 1.2].min() >= 0
    assert (volumes[radius > 1.2].std(axis=-1) > 1).all()

    trend = np.vander(np.linspace(-1, 1, volumes.shape[-1]), 6)
    residual = volumes - volumes @ np.linalg.pinv(trend).T @ trend.T
    inner = np.where((radius < 0.9)[..., None], residual, np.nan)
    variance = np.nanmean(inner**2)
    assert 0.2 < np.nanmean(inner[..., 1:] * inner[..., :-1]) / variance < 0.6
    assert np.nanmean(inner[1:] * inner[:-1]) / variance > 0.5
    drift = volumes[radius < 0.9].std(axis=-1).mean() / np.sqrt(variance)
    assert drift > 1.1


def test_response_peaks_four_to_six_seconds_after_a_short_event_and_knows_nothing_before_the_run() -> None:
    dataset = Parameters().dataset()
    segment = dataset.segments[1]
    blocks = [
        story.Block(segment.start - 20, segment.start, "ANGER"),
        story.Block(segment.start + 10, segment.start + 12, "FEAR"),
        story.Block(segment.start + 30, segment.start + 90, "LOVE"),
    ]
    response = story.responses(blocks, segment, dataset.tr)
    assert response.shape == (60, 5)
    anger, fear, love = (response[:, story.EMOTIONS.index(emotion)] for emotion in ("ANGER", "FEAR", "LOVE"))
    assert not anger.any()
    assert 14 <= np.argmax(fear) * dataset.tr <= 17
    assert love[40] == pytest.approx(1, abs=0.05)
