"""One point of the growth curves: a stage at some size, in a process of its own; processor seconds and peak memory."""

import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from benchmarks import child, data, ours, programs
from benchmarks.stages.planning import plan
from benchmarks.stages.tables import finished_run
from deepemotion.simulation import nifti

# The largest is the true shape, but for one row.
_SHAPES: dict[int, data.Shape] = {1: (66, 88, 24), 2: (132, 88, 24), 4: (132, 176, 24), 8: (132, 176, 48)}
_VOLUMES = 48
_EPOCH_VOLUMES = 12
_TRIALS = 250
_ROUNDS = 3


def pack(axis: str, factor: int) -> float:
    """Pack a subject of one run."""
    from benchmarks.stages.pack import clear
    from deepemotion.dataset.description import Dataset
    from deepemotion.packing.subject import PackRequest, pack_subject

    root = _noise(*_size(axis, factor))
    out = data.FOLDER / "out-growth"

    def once() -> None:
        clear(out)
        pack_subject(PackRequest(Dataset.of_folder(root), root, "01", out))

    return _fastest(once)


def load(axis: str, factor: int) -> float:
    """Load a subject's labelled volumes."""
    from deepemotion.samples.load import load as load_samples

    folder = _packed(axis, factor)
    settings = ours.trial(["01"], 1, 1, 1).data
    return _fastest(lambda: load_samples(folder, ["01"], data.read_labels(folder), settings))


def batches(axis: str, factor: int) -> float:
    """Make dense batches of all labelled volumes."""
    import torch

    from deepemotion.samples.load import load as load_samples

    torch.set_num_threads(1)
    folder = _packed(axis, factor)
    loaded = load_samples(folder, ["01"], data.read_labels(folder), ours.trial(["01"], 1, 1, 1).data)
    parts = torch.arange(len(loaded)).split(8)
    return _fastest(lambda: [loaded.dense(rows) for rows in parts])


def epoch(axis: str, factor: int) -> float:
    """Train two epochs; the second one counts."""
    folder = _packed(axis, factor, _EPOCH_VOLUMES)
    seconds: list[float] = []
    last = time.process_time()

    def on_epoch(metrics: dict[str, float]) -> None:
        nonlocal last
        now = time.process_time()
        seconds.append(now - last)
        last = now

    ours.run(ours.trial(["01"], 2, 8, 1), folder, folder / "labels.tsv", on_epoch)
    return seconds[-1]


def planned(axis: str, factor: int) -> float:
    """Plan an experiment of many trials."""
    return min(plan(factor * 4 * _TRIALS)[1] for _ in range(_ROUNDS))


def results(axis: str, factor: int) -> float:
    """Run `deepemotion-launch results`."""
    return _program("results", factor)


def status(axis: str, factor: int) -> float:
    """Run `deepemotion-launch status`."""
    return _program("status", factor)


def point(function: Callable[[str, int], float], axis: str, factor: int) -> tuple[float, int]:
    """Return processor seconds, and the peak memory (bytes) of this process or, where larger, of a program it ran."""
    seconds = function(axis, factor)
    return seconds, max(child.peak_bytes(), 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)


def prepare(axis: str, factor: int) -> None:
    """Make a point's data, so that its process only reads."""
    if axis == "trials":
        finished_run(factor * _TRIALS)
    else:
        _packed(axis, factor)
        _packed(axis, factor, _EPOCH_VOLUMES)
        _noise(*_size(axis, factor))


def _size(axis: str, factor: int, least: int = _VOLUMES) -> tuple[data.Shape, int]:
    return (_SHAPES[1], least * factor) if axis == "volumes" else (_SHAPES[factor], least)


def _packed(axis: str, factor: int, least: int = _VOLUMES) -> Path:
    shape, volumes = _size(axis, factor, least)
    return data.packed(shape, volumes, runs=1)


def _noise(shape: data.Shape, volumes: int) -> Path:
    """Return the root of a dataset of one run of noise; one that is there stays."""
    root = data.FOLDER / f"noise-{'-'.join(map(str, (*shape, volumes)))}"
    description = root / "dataset.yaml"
    if not description.exists():
        shutil.rmtree(root, ignore_errors=True)
        noise = np.random.default_rng(0)
        run = (noise.integers(9000, 9200, shape, dtype=np.int16) for _ in range(volumes))
        nifti.write_run(root / "01-1.nii.gz", run, shape, volumes)
        segment = {"run": 1, "start": 0.0, "end": data.TR_S * volumes}
        content = {"name": "noise", "tr": data.TR_S, "subjects": ["01"], "segments": [segment]}
        description.write_text(yaml.safe_dump({**content, "files": {"bold": "{subject}-{run}.nii.gz"}}))
    return root


def _program(command: str, factor: int) -> float:
    run = finished_run(factor * _TRIALS)
    return programs.run("deepemotion-launch", command, run)[1]


def _fastest(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)
