"""The true story: when each emotion occurs in the movie, and the haemodynamic response to it in each run."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deepemotion.dataset.description import Dataset, Segment

# The paper's clusters of the observers' labels, the most frequent label first.
CLUSTERS = {
    "ANGER": ("ANGERRAGE", "CONTEMPT", "HATE", "RESENTMENT"),
    "FEAR": ("FEAR", "FEARSCONFIRMED"),
    "HAPPINESS": ("HAPPINESS", "HOPE", "HAPPYFOR", "RELIEF", "PRIDE", "SATISFACTION", "GRATIFICATION", "GRATITUDE"),
    "LOVE": ("LOVE", "COMPASSION", "ADMIRATION"),
    "SADNESS": ("SADNESS", "REMORSE", "DISAPPOINTMENT", "SHAME"),
}
EMOTIONS = tuple(CLUSTERS)
NONE = "NONE"

# Log-normal with the real labels' median of 5 and mean of 7.5 TRs: mean / median = exp(sigma^2 / 2).
MEDIAN_TRS = 5.0
SIGMA = float(np.sqrt(2 * np.log(7.5 / 5.0)))
SHORTEST_TRS = 2
# Gaps between blocks, relative to blocks: a little under half of the movie is labelled.
GAP_RATIO = 1.1


class Block(NamedTuple):
    """A stretch of the movie, seconds [start, end), with one true emotion."""

    start: float
    end: float
    emotion: str


def tell(rng: np.random.Generator, dataset: Dataset) -> list[Block]:
    """Return the movie's emotion blocks in order, on the grid of TRs, with label-free gaps between them.

    Emotions come in shuffled rounds of all five, and a block is at most a tenth of the shortest run, so that a run of
    40 volumes or more holds about one of each.
    """
    points = round(dataset.segments[-1].end / dataset.tr)
    longest = max(SHORTEST_TRS + 1, min(dataset.volumes(segment) for segment in dataset.segments) // 10)
    blocks: list[Block] = []
    position = 0
    while True:
        for emotion in rng.permutation(EMOTIONS):
            position += round(GAP_RATIO * _length(rng, longest))
            end = position + round(_length(rng, longest))
            if end > points:
                return blocks
            blocks.append(Block(position * dataset.tr, end * dataset.tr, str(emotion)))
            position = end


def timeline(blocks: list[Block], dataset: Dataset) -> list[tuple[float, str]]:
    """Return (movie time in seconds, emotion or NONE) for every TR of the movie."""
    times = np.arange(0, dataset.segments[-1].end, dataset.tr)
    emotions = np.full(len(times), NONE, dtype=object)
    for block in blocks:
        emotions[(times >= block.start) & (times < block.end)] = block.emotion
    return [(float(time), str(emotion)) for time, emotion in zip(times, emotions, strict=True)]


def responses(blocks: list[Block], segment: Segment, tr: float) -> NDArray[np.float32]:
    """Return the response (T, E) of each emotion's network in the middle of each volume of a run.

    Glover's haemodynamic response (Glover 1999, NeuroImage 9:416) as nilearn has it: 1 under a sustained emotion. A
    run begins at rest: what the movie showed before its first second was not played in this run.
    """
    from nilearn.glm.first_level import compute_regressor  # takes seconds, and only the parent process needs it

    frame_times = (np.arange(round((segment.end - segment.start) / tr)) + 0.5) * tr
    response = np.zeros((len(frame_times), len(EMOTIONS)), dtype=np.float32)
    for column, emotion in enumerate(EMOTIONS):
        played = [
            (max(block.start, segment.start) - segment.start, min(block.end, segment.end) - segment.start)
            for block in blocks
            if block.emotion == emotion and block.start < segment.end and block.end > segment.start
        ]
        if played:
            onsets, ends = np.array(played).T
            condition = (onsets, ends - onsets, np.ones(len(onsets)))
            response[:, column] = compute_regressor(condition, "glover", frame_times)[0][:, 0]
    return response


def _length(rng: np.random.Generator, longest: int) -> float:
    return float(np.clip(rng.lognormal(np.log(MEDIAN_TRS), SIGMA), SHORTEST_TRS, longest))
