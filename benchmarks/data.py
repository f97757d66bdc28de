"""The data that stages measure on, made once in benchmarks/.data and kept: simulated runs, packed subjects, labels."""

import shutil
from pathlib import Path

import nibabel
import numpy as np
from isal import igzip
from numpy.typing import NDArray

from deepemotion.dataset.description import Dataset, FilePatterns, Segment
from deepemotion.files import atomic_path
from deepemotion.labels import table
from deepemotion.labels.table import Labels
from deepemotion.packing.nifti import VolumeStream, read_header
from deepemotion.simulation import brain
from deepemotion.simulation.folder import simulate
from deepemotion.simulation.parameters import Parameters
from deepemotion.subject_file.format import RunRecord, Source
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.subject_file.writer import Layout, new_subject_file

FOLDER = Path(__file__).parent / ".data"
TRUE_SHAPE = (132, 175, 48)
QUICK_SHAPE = (33, 44, 12)
CLASSES = ("ANGER", "FEAR", "HAPPINESS", "LOVE", "SADNESS")
TR_S = 2.0

Shape = tuple[int, int, int]


def shape(quick: bool) -> Shape:
    """Return the shape to measure at: the real data's, or a small one."""
    return QUICK_SHAPE if quick else TRUE_SHAPE


def simulated(size: Shape, volumes: tuple[int, ...], subjects: int = 1, signal: float = 1.0) -> Path:
    """Return the root of a simulated dataset of eight runs."""
    name = "-".join(map(str, (*size, *volumes, subjects, f"{signal:g}")))
    parameters = Parameters(subjects=subjects, shape=size, volumes_per_run=volumes, signal=signal)
    simulate(FOLDER / f"simulated-{name}", parameters, jobs=1)
    return FOLDER / f"simulated-{name}"


def as_float32(root: Path) -> Path:
    """Return the root of a copy of a simulated dataset's first run, of its first subject, in float32.

    Values get a random fraction: floats of whole numbers would be stored as they are.
    """
    copy = root.with_name(f"{root.name}-float32")
    dataset = Dataset.of_folder(root)
    subject = dataset.subjects[0]
    source = dataset.bold(root, subject, 1)
    target = copy / source.relative_to(root)
    for path in (root / "dataset.yaml", *dataset.masks(root, subject)):
        (copy / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy / path.relative_to(root))
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        header = nibabel.load(source).header
        header.set_data_dtype(np.float32)
        rng = np.random.default_rng(0)
        with atomic_path(target) as temporary, igzip.open(temporary, "wb", 1) as file:
            file.write(header.binaryblock + bytes(4))
            for volume in VolumeStream(read_header(source)):
                file.write((volume + rng.random(volume.size, np.float32)).astype("<f4").tobytes())
    return copy


def packed(size: Shape, volumes: int, runs: int = 8, subjects: int = 1) -> Path:
    """Return a folder of packed subjects of noise in an ellipsoid mask, with `labels.tsv` that labels every volume.

    Much faster to make than packing, and equal to it for whoever reads: one int16 volume a chunk.
    """
    folder = FOLDER / f"packed-{'-'.join(map(str, (*size, volumes, runs, subjects)))}"
    names = [f"{number:02d}" for number in range(1, subjects + 1)]
    segments = [
        Segment(run=run, start=TR_S * volumes * (run - 1), end=TR_S * volumes * run) for run in range(1, runs + 1)
    ]
    dataset = Dataset(
        name="noise", tr=TR_S, subjects=names, segments=segments, files=FilePatterns(bold="{subject}-{run}.nii")
    )
    for number, subject in enumerate(names):
        if not subject_path(folder, subject).exists():
            _write_subject(folder, subject, number, dataset, volumes, brain.radius(size) < 0.97)
    if not (folder / "labels.tsv").exists():
        write_labels(folder / "labels.tsv", volumes * runs)
    return folder


def write_labels(path: Path, times: int) -> None:
    """Write labels of `times` movie times, each class in blocks of five, as emotions last."""
    emotion = np.arange(times) // 5 % len(CLASSES)
    table.write(
        path,
        classes=CLASSES,
        movie_time=TR_S * np.arange(times),
        emotion=emotion,
        votes=np.full(times, 8),
        observers=8,
        soft=np.eye(len(CLASSES), dtype=np.float32)[emotion],
    )


def read_labels(folder: Path) -> Labels:
    """Return the labels of a folder that `packed` made."""
    return Labels.read(folder / "labels.tsv")


def subject(folder: Path) -> SubjectFile:
    """Open the first subject of a folder that `packed` made."""
    return SubjectFile.of(folder, "01")


def _write_subject(
    folder: Path, subject: str, number: int, dataset: Dataset, volumes: int, mask: NDArray[np.bool_]
) -> None:
    runs = {segment.run: volumes for segment in dataset.segments}
    layout = Layout(dataset, subject, runs, mask, np.eye(4), [], NanRule.FAIL, Compression.NONE)
    noise = np.random.default_rng(number)
    still = noise.integers(8000, 12000, int(mask.sum()), dtype=np.int16)
    with new_subject_file(subject_path(folder, subject), layout) as writer:
        for run in runs:
            run_writer = writer.run(run)
            for _ in range(volumes):
                with run_writer.next_volume(1.0, 0.0) as out:
                    out[:] = still + noise.integers(-100, 100, len(still), dtype=np.int16)
            source = Source(name=f"{subject}-{run}.nii", size=0, mtime_ns=0, crc32=0)
            run_writer.end(
                RunRecord(
                    run=run,
                    volumes=volumes,
                    source=source,
                    dtype="int16",
                    slope=1.0,
                    intercept=0.0,
                    largest_error=0.0,
                    not_finite=0,
                )
            )
        writer.finish()
