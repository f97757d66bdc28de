"""Simulates what controls are made of: the film's loudness, head motion, recordings of the body, and a phantom."""

import json
from pathlib import Path

import numpy as np
from isal import igzip
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from deepemotion.dataset.control_sources import FileControl
from deepemotion.dataset.description import Dataset, Segment
from deepemotion.files import atomic_path, write_text
from deepemotion.simulation import brain, nifti, scan
from deepemotion.simulation.parameters import Parameters, Stream
from deepemotion.simulation.story import EMOTIONS, Block

# Sound is described every 0.1 s; the film's own changes in loudness last for seconds, as scenes do.
_FRAME_S = 0.1
_SCENE_S = 4.0
# Root-mean-square power at medium loudness, and how far apart its logarithm is for one SD.
_RMS, _LOG_RMS_SD = 0.02, 0.8
_LEFT_RIGHT_SD = 0.005
# Translations in mm and rotations in radians, of slow movements; and how long these take, in volumes.
_MOTION_SD = (0.1, 0.1, 0.1, 0.002, 0.002, 0.002)
_MOTION_VOLUMES = 3.0
_RECORDED_HZ = 20.0
_PHANTOM_SHAPE = (16, 16, 8)


def write_stimulus(out: Path, parameters: Parameters, dataset: Dataset, blocks: list[Block]) -> None:
    """Write the loudness and the left-right difference of each run, as BIDS events of 0.1 s.

    Both belong to the film, so adjacent runs share them where they overlap. Each emotion has a place of its own on a
    circle of the two, with a radius of `loudness` standard deviations.
    """
    rng = parameters.generator(Stream.CONTROL, 0)
    frames = round(dataset.segments[-1].end / _FRAME_S)
    level = gaussian_filter1d(rng.standard_normal((frames, 2)), _SCENE_S / _FRAME_S, axis=0, mode="wrap")
    level /= level.std(axis=0)
    angle = 2 * np.pi * rng.permutation(len(EMOTIONS)) / len(EMOTIONS)
    for block in blocks:
        place = angle[EMOTIONS.index(block.emotion)]
        level[round(block.start / _FRAME_S) : round(block.end / _FRAME_S)] += parameters.loudness * np.array(
            [np.cos(place), np.sin(place)]
        )
    level += 0.3 * rng.standard_normal(level.shape)
    rms, left_right = _RMS * np.exp(_LOG_RMS_SD * level[:, 0]), _LEFT_RIGHT_SD * level[:, 1]
    for segment in dataset.segments:
        played = slice(round(segment.start / _FRAME_S), round(segment.end / _FRAME_S))
        lines = [
            f"{index * _FRAME_S:.1f}\t{_FRAME_S}\t{power:.8f}\t{difference:.8f}\n"
            for index, (power, difference) in enumerate(zip(rms[played], left_right[played], strict=True))
        ]
        path = out / _pattern(dataset, "stimulus").format(subject="", run=segment.run)
        write_text(path, "".join(["onset\tduration\trms\tlrdiff\n", *lines]))


def write_motion(
    out: Path, parameters: Parameters, dataset: Dataset, subject: str, responses: list[NDArray[np.float32]]
) -> None:
    """Write six motion parameters per volume: slow movements and a drift.

    Each emotion adds a posture that all subjects share, by `motion` standard deviations, with the delay of the brain's
    response: `responses` are (T, E) for each run.
    """
    postures = parameters.generator(Stream.CONTROL, 1).standard_normal((len(EMOTIONS), len(_MOTION_SD)))
    for segment, response in zip(dataset.segments, responses, strict=True):
        rng = parameters.generator(Stream.CONTROL, 1, int(subject), segment.run)
        slow = gaussian_filter1d(rng.standard_normal((len(response), len(_MOTION_SD))), _MOTION_VOLUMES, axis=0)
        slow /= slow.std(axis=0)
        drift = np.linspace(0, 1, len(response))[:, None] * rng.standard_normal(len(_MOTION_SD))
        moved = np.array(_MOTION_SD) * (slow + drift + parameters.motion * np.einsum("te,ep->tp", response, postures))
        lines = ["  ".join(f"{value:.7f}" for value in row) + "\n" for row in moved.tolist()]
        write_text(out / _pattern(dataset, "motion").format(subject=subject, run=segment.run), "".join(lines))


def write_physio(out: Path, parameters: Parameters, dataset: Dataset, subject: str) -> None:
    """Write heart beat and breathing of each run, which know nothing of the film, in BIDS's form."""
    for segment in dataset.segments:
        rng = parameters.generator(Stream.CONTROL, 2, int(subject), segment.run)
        before = round(float(rng.uniform(0.5, 3)), 3)
        count = round((before + segment.end - segment.start) * _RECORDED_HZ)
        columns = [_oscillation(rng, count, rate) for rate in (1.1, 0.25)]
        text = "".join(f"{heart:.4f}\t{breath:.4f}\n" for heart, breath in zip(*columns, strict=True))
        path = out / _pattern(dataset, "physio").format(subject=subject, run=segment.run)
        described = {
            "SamplingFrequency": _RECORDED_HZ,
            "StartTime": -before,
            "Columns": ["cardiac", "respiratory"],
        }
        with atomic_path(path) as temporary:
            temporary.write_bytes(igzip.compress(text.encode(), nifti.COMPRESSION_LEVEL, mtime=0))
        write_text(path.with_name(path.name.replace(".tsv.gz", ".json")), json.dumps(described, indent=1) + "\n")


def write_phantom(out: Path, parameters: Parameters, dataset: Dataset, segment: Segment) -> None:
    """Write a run of a phantom: a ball of gel on a grid of its own, with the scanner's drift and noise, no signal."""
    path = out / _pattern(dataset, "phantom").format(subject="", run=segment.run)
    if path.exists():
        return
    volumes = dataset.volumes(segment)
    ball = np.where(brain.radius(_PHANTOM_SHAPE) < 1, brain.INTENSITY, brain.BACKGROUND).astype(np.float32)
    rng = parameters.generator(Stream.CONTROL, 3, segment.run)
    nothing = np.zeros((1, *_PHANTOM_SHAPE), np.float32)
    scanned = scan.volumes(rng, ball, nothing, np.zeros((volumes, 1), np.float32), 0.0)
    nifti.write_run(path, scanned, _PHANTOM_SHAPE, volumes)


def _oscillation(rng: np.random.Generator, count: int, rate_hz: float) -> NDArray[np.float64]:
    """Return a wave (n,) whose rate changes slowly, by a tenth or so, as heart and breath do."""
    rate = rate_hz * (1 + 0.1 * rng.standard_normal() + 0.1 * np.sin(np.linspace(0, rng.uniform(5, 30), count)))
    wave: NDArray[np.float64] = np.sin(2 * np.pi * np.cumsum(rate) / _RECORDED_HZ) + 0.1 * rng.standard_normal(count)
    return wave


def _pattern(dataset: Dataset, control: FileControl) -> str:
    return next(source.file for source in dataset.controls if source.control == control)
