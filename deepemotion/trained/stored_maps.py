"""Maps of a trial by one method, stored once in a file of their own, so that trials of a run can be compared.

A file is named after its trial in a folder named after the settings; it records which result it is of.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deepemotion.console import say
from deepemotion.errors import UserError
from deepemotion.files import atomic_path
from deepemotion.trained import explanation, saliency
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.explanation import Options
from deepemotion.trained.trained import load_trained
from deepemotion.training import integrity
from deepemotion.training.trial_directory import TrialDirectory

MethodName = Literal["integrated-gradients", "grad-cam"]
_METHODS = {"integrated-gradients": saliency.INTEGRATED_GRADIENTS, "grad-cam": saliency.GRAD_CAM}
_MAP = "map_"
# What reading a damaged file may raise; the arrays of a file have checksums.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


@dataclass(frozen=True)
class MapSettings:
    """How maps are made: by which method, in how many steps, of at most how many validation volumes per emotion."""

    method: MethodName = "integrated-gradients"
    steps: int = 32
    most: int | None = None

    @property
    def name(self) -> str:
        """What tells these settings from others in the name of a folder."""
        steps = f"_{self.steps}-steps" if self.method == "integrated-gradients" else ""
        return f"{self.method}{steps}" + (f"_{self.most}-volumes" if self.most is not None else "")

    @property
    def in_words(self) -> str:
        """What a reader should know about them."""
        steps = f" in {self.steps} steps" if self.method == "integrated-gradients" else ""
        return f"{_METHODS[self.method]}{steps}" + (f", at most {self.most} volumes" if self.most is not None else "")


@dataclass(frozen=True)
class StoredMaps:
    """The mean maps of a trial, in the file at `path`; those of an emotion are read when they are asked for.

    `mask` (X, Y, Z) and `affine` (4, 4) are of the packed grid. `volumes` is the number of each emotion's volumes.
    """

    path: Path
    mask: NDArray[np.bool_]
    affine: NDArray[np.float64]
    volumes: dict[str, int]

    def map_of(self, emotion: str) -> NDArray[np.float32]:
        """Return the emotion's map in the voxels of the mask, (V,) in the order of `volume[mask]`."""
        try:
            with np.load(self.path) as arrays:
                values: NDArray[np.float32] = arrays[_MAP + emotion]
                return values
        except _DAMAGE as error:
            raise UserError(f"{self.path}: damaged ({error}); delete it and run this again") from error


def read(folder: Path, directory: TrialDirectory) -> StoredMaps | None:
    """Return the maps of a trial that were stored in `folder`, None where there are none of its present result.

    A damaged file is reported, and counts as none.
    """
    path = _path(folder, directory)
    if not path.is_file():
        return None
    try:
        with np.load(path) as arrays:
            record: dict[str, Any] = json.loads(str(arrays["record"]))
            mask = np.unpackbits(arrays["mask"], count=int(np.prod(record["shape"]))).astype(np.bool_)
            affine = arrays["affine"]
        volumes = {str(emotion): int(n) for emotion, n in record["volumes"].items()}
        if record["result"] != integrity.file_checksum(directory.result):
            return None
        return StoredMaps(path, mask.reshape(record["shape"]), affine, volumes)
    except _DAMAGE as error:
        say(f"{path}: cannot be read ({error}); its maps are made again")
        return None


def write(
    folder: Path, directory: TrialDirectory, space: BrainSpace, maps: dict[str, tuple[int, NDArray[np.float32]]]
) -> None:
    """Store the maps of a trial: for each emotion the number of volumes and the map (X, Y, Z) of the packed grid."""
    record = {
        "result": integrity.file_checksum(directory.result),
        "shape": space.mask.shape,
        "volumes": {emotion: n for emotion, (n, _) in maps.items()},
    }
    arrays: dict[str, Any] = {_MAP + emotion: volume[space.mask] for emotion, (_, volume) in maps.items()}
    arrays |= {"record": json.dumps(record), "mask": np.packbits(space.mask), "affine": space.affine}
    with atomic_path(_path(folder, directory)) as temporary:
        np.savez(temporary, **arrays)


def make(folder: Path, directory: TrialDirectory, packed: Path, labels_file: Path, settings: MapSettings) -> StoredMaps:
    """Make and store the maps of a finished trial: of validation volumes by the labels that it was trained on.

    Raises UserError if the training is not done, its data has changed, or its model has no such maps.
    """
    trained = load_trained(directory, packed, labels_file)
    found = explanation.maps_by(_METHODS[settings.method], trained, Options(most=settings.most, steps=settings.steps))
    affine = BrainSpace.of(packed, trained.trial.subjects[0]).affine
    mask = trained.samples.grid.mask
    space = BrainSpace(affine, mask, np.zeros(mask.shape, np.float32))
    write(folder, directory, space, {one.emotion: (one.n, one.volume) for one in found})
    return StoredMaps(_path(folder, directory), mask, affine, {one.emotion: one.n for one in found})


def _path(folder: Path, directory: TrialDirectory) -> Path:
    return folder / f"{directory.path.name}.npz"
