"""Simulates the notes of twelve observers: raw annotations with the file format and the quirks of the real ones."""

import csv
import io
from typing import NamedTuple

import numpy as np

from deepemotion.simulation.parameters import Parameters, Stream
from deepemotion.simulation.story import CLUSTERS, EMOTIONS, Block

OBSERVERS = (*(f"av1o{number:02d}" for number in range(1, 10)), *(f"ao1o{number:02d}" for number in range(1, 4)))
FRACTIONS = "ao1o01"  # the observer who noted tenths of seconds
SEVERAL_LABELS = "av1o04"  # the observer who put several labels in a row
HEADER = ("start", "end", "character", "arousal", "valence", "direction", "emotion", "oncue", "offcue")

CHARACTERS = ("FORREST", "FORRESTVO", "JENNY", "DAN", "BUBBA", "MRSGUMP", "MAN", "WOMAN", "CROWD", "BOY")
CHARACTER_SHARES = (0.36, 0.13, 0.17, 0.08, 0.03, 0.05, 0.11, 0.03, 0.03, 0.01)
POSITIVE = frozenset((*CLUSTERS["HAPPINESS"], *CLUSTERS["LOVE"], "GLOATING"))
ON_CUES = {"av": ("VERBAL", "FACE", "FACE VERBAL", "GESTURE FACE", "CONTEXT"), "ao": ("AUDIO", "VERBAL", "CONTEXT")}
OFF_CUES = ("SCENEEND", "EMOCHANGE", "CHARLEFT", "EMOFADED")

NOTICED = 0.9  # of the blocks, by one observer
SECOND_CHARACTER = 0.35  # of the blocks show a second character who feels the same
LEADING_LABEL = 0.7  # of the observers give a block's leading label, the others one of the same cluster at random
MISTAKEN = 0.05  # of the notes are of another emotion
UNFOUNDED_PER_BLOCK = 0.4  # an observer's own events, which nobody else saw
UNLABELLED = 0.5  # of those leave the emotion empty
# Observers agree on an onset to within a second: about two fifths of the events then start on an odd one.
ONSET_JITTER_S = 0.6
END_JITTER_S = 1.0


class Scene(NamedTuple):
    """A block as it is on the screen, visible to every observer."""

    block: Block
    characters: tuple[str, ...]
    leading_label: str


def annotate(parameters: Parameters, blocks: list[Block], movie_end: float) -> dict[str, str]:
    """Return the content of each observer's CSV file by the observer's name."""
    rng = parameters.generator(Stream.OBSERVER)
    scenes = [_stage(rng, block) for block in blocks]
    return {
        name: _Observer(name, parameters.generator(Stream.OBSERVER, number), movie_end).watch(scenes)
        for number, name in enumerate(OBSERVERS, start=1)
    }


def _stage(rng: np.random.Generator, block: Block) -> Scene:
    count = 2 if rng.random() < SECOND_CHARACTER else 1
    characters = rng.choice(CHARACTERS, size=count, replace=False, p=CHARACTER_SHARES)
    return Scene(block, tuple(characters.tolist()), _label(rng, block.emotion))


def _label(rng: np.random.Generator, emotion: str) -> str:
    shares = 1 / np.arange(1, len(CLUSTERS[emotion]) + 1)
    return str(rng.choice(CLUSTERS[emotion], p=shares / shares.sum()))


class _Observer:
    def __init__(self, name: str, rng: np.random.Generator, movie_end: float) -> None:
        self.name = name
        self.rng = rng
        self.movie_end = movie_end

    def watch(self, scenes: list[Scene]) -> str:
        rows = []
        for scene in scenes:
            for character in scene.characters:
                if self.rng.random() < NOTICED:
                    rows.append(self._row(scene.block.start, scene.block.end, character, self._name_emotion(scene)))
        for _ in range(self.rng.poisson(UNFOUNDED_PER_BLOCK * len(scenes))):
            start = self.rng.uniform(0, self.movie_end)
            character = str(self.rng.choice(CHARACTERS, p=CHARACTER_SHARES))
            rows.append(self._row(start, start + self.rng.exponential(8), character, self._imagine_emotion()))
        rows.sort(key=lambda row: (row[0], row[1]))
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(HEADER)
        writer.writerows(rows)
        return text.getvalue()

    def _name_emotion(self, scene: Scene) -> str:
        emotion = scene.block.emotion
        if self.rng.random() < MISTAKEN:
            emotion = str(self.rng.choice([other for other in EMOTIONS if other != emotion]))
        elif self.rng.random() < LEADING_LABEL:
            return scene.leading_label
        label = _label(self.rng, emotion)
        second = _label(self.rng, emotion)
        return f"{label} {second}" if self.name == SEVERAL_LABELS and second != label else label

    def _imagine_emotion(self) -> str:
        if self.rng.random() < UNLABELLED:
            return ""
        return str(self.rng.choice(["GLOATING", *(label for labels in CLUSTERS.values() for label in labels)]))

    def _row(self, start: float, end: float, character: str, emotion: str) -> tuple[float | str, ...]:
        digits, shortest = (1, 0.1) if self.name == FRACTIONS else (0, 1.0)
        latest = self.movie_end - shortest
        noted_start = round(float(np.clip(start + self.rng.normal(0, ONSET_JITTER_S), 0, latest)), digits)
        noted_end = float(np.clip(end + self.rng.normal(0, END_JITTER_S), noted_start + shortest, self.movie_end))
        return (
            noted_start,
            round(noted_end, digits),
            character,
            str(self.rng.choice(["LOW", "HIGH"], p=[0.6, 0.4])),
            "POS" if emotion.split(" ")[0] in POSITIVE else "NEG",
            str(self.rng.choice(["OTHER", "SELF"], p=[0.6, 0.4])),
            emotion,
            str(self.rng.choice(ON_CUES[self.name[:2]])),
            str(self.rng.choice(OFF_CUES)),
        )
