"""The published way, built again from its description, as the baseline of the other stages.

nibabel reads a run whole; all runs become one zarr array, float32 (files, X, Y, Z, T), a volume a chunk, uncompressed;
a sample is one chunk, with its label from a pandas filter; `random_split` and a DataLoader without workers; the default
memory format, float32, plain Adam, ReLU before pooling, and the allocator as it comes.
"""

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import torch
import zarr
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset, random_split

from deepemotion.models.cnn3d import HIDDEN, WIDTHS
from deepemotion.subject_file.reader import SubjectFile

# NIfTI's rule for the seed of the published split.
_SPLIT_SEED = 42


def pack(paths: Sequence[Path], store: Path) -> None:
    """Write runs (NIfTI files of one shape) as one zarr array."""
    longest = max(nibabel.load(path).shape[3] for path in paths)
    array = _create(store, len(paths), nibabel.load(paths[0]).shape[:3], longest)
    for i, path in enumerate(paths):
        volumes = nibabel.load(path).get_fdata()
        array[i, ..., : volumes.shape[3]] = volumes


def from_volumes(runs: Iterable[Iterable[NDArray[Any]]], store: Path, files: int, length: int) -> None:
    """Write the same array from `files` runs of `length` volumes (X, Y, Z) each, a volume at a time."""
    array = None
    for i, run in enumerate(runs):
        for t, volume in enumerate(run):
            if array is None:
                array = _create(store, files, volume.shape, length)
            array[i, ..., t] = volume


def from_subject(path: Path, store: Path) -> None:
    """Write the same array from a packed subject, zero outside its mask; one that is there stays."""
    if store.exists():
        return
    with SubjectFile(path) as file:
        lengths = set(file.volumes_per_run.values())
        from_volumes(_dense_runs(file), store, len(file.volumes_per_run), max(lengths))


def _dense_runs(file: SubjectFile) -> Iterator[Iterator[NDArray[np.float32]]]:
    inside = file.mask.ravel(order="F")

    def dense(row: int) -> NDArray[np.float32]:
        slope, intercept = file.scale[row]
        flat = np.zeros(file.mask.size, np.float32)
        flat[inside] = slope * file.read(np.array([row]))[0] + intercept
        return flat.reshape(file.shape, order="F")

    for run in file.volumes_per_run:
        yield (dense(row) for row in np.flatnonzero(file.run == run))


def _create(store: Path, files: int, shape: tuple[int, ...], longest: int) -> Any:
    shutil.rmtree(store, ignore_errors=True)
    store.parent.mkdir(parents=True, exist_ok=True)
    return zarr.create_array(
        store, shape=(files, *shape, longest), chunks=(1, *shape, 1), dtype="float32", compressors=None
    )


class Volumes(Dataset[tuple[Tensor, int]]):
    """The labelled volumes of a zarr array; `labels` has the columns file, index, label (a row a labelled volume)."""

    def __init__(self, store: Path, labels: pd.DataFrame) -> None:
        self._array = zarr.open_array(store, mode="r")
        self._labels = labels
        self._places = list(zip(labels["file"], labels["index"], strict=True))

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, item: int) -> tuple[Tensor, int]:
        file, index = self._places[item]
        volume = torch.from_numpy(self._array[file, :, :, :, index]).unsqueeze(0)
        rows = self._labels[(self._labels["file"] == file) & (self._labels["index"] == index)]
        return volume, int(rows["label"].iloc[0])


def loaders(
    volumes: Volumes, batch_size: int, validation_share: float = 0.2
) -> tuple[DataLoader[Any], DataLoader[Any], Subset[Any]]:
    """Return the loaders of training and validation volumes, and the latter's subset."""
    training = round((1 - validation_share) * len(volumes))
    sides = random_split(
        volumes, [training, len(volumes) - training], generator=torch.Generator().manual_seed(_SPLIT_SEED)
    )
    return DataLoader(sides[0], batch_size, shuffle=True), DataLoader(sides[1], batch_size), sides[1]


def network(shape: Sequence[int], classes: int) -> nn.Module:
    """Return the paper's network for volumes (B, 1, *shape), in the order that the paper names its layers."""
    layers: list[nn.Module] = []
    for width_in, width_out in zip((1, *WIDTHS[:-1]), WIDTHS, strict=True):
        layers += [nn.Conv3d(width_in, width_out, 3, padding=1), nn.BatchNorm3d(width_out), nn.ReLU(), nn.MaxPool3d(2)]
    pooled = WIDTHS[-1] * int(np.prod([side // 2 ** len(WIDTHS) for side in shape]))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(pooled, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))


def epochs(
    volumes: Volumes, classes: int, batch_size: int, learning_rate: float, validation_share: float = 0.2
) -> Iterator[tuple[float, float]]:
    """Train without end; yield the seconds of each epoch (validation included) and its validation accuracy."""
    training, validation, held_out = loaders(volumes, batch_size, validation_share)
    model = network(volumes[0][0].shape[1:], classes)
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    while True:
        started = time.perf_counter()
        model.train()
        loss_sum, correct = 0.0, 0
        for x_B1XYZ, label_B in training:
            optimiser.zero_grad()
            logits_BC = model(x_B1XYZ)
            loss = nn.functional.cross_entropy(logits_BC, label_B)
            loss.backward()
            optimiser.step()
            loss_sum += loss.item()
            correct += int((logits_BC.argmax(dim=1) == label_B).sum().item())
        model.eval()
        right = 0
        with torch.no_grad():
            for x_B1XYZ, label_B in validation:
                right += int((model(x_B1XYZ).argmax(dim=1) == label_B).sum().item())
        yield time.perf_counter() - started, right / len(held_out)
