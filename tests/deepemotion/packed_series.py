"""Packed subjects whose volumes and motion a test decides, without NIfTI files."""

import numpy as np

from deepemotion.dataset.description import Dataset, FilePatterns, Segment
from deepemotion.labels.table import write as write_labels
from deepemotion.subject_file.control_file import ControlHeader, control_path, write_control_file
from deepemotion.subject_file.control_series import VolumeSeries
from deepemotion.subject_file.format import RunRecord, Source
from deepemotion.subject_file.options import Compression, NanRule
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.subject_file.writer import Layout, new_subject_file

TR = 2.0


def write_subject(folder, subject, runs, motion=None, *, mask=None, slope=1.0, compression=Compression.NONE):
    """Pack `runs`, each (T, V) of int16, by their numbers, and the motion (T, C) of each; without a mask, in one row.

    Values are `slope` times as large, in every other volume twice as large.
    """
    voxels = next(iter(runs.values())).shape[1]
    mask = np.ones((voxels, 1, 1), bool) if mask is None else mask
    start, segments = 0.0, []
    for run, volumes in runs.items():
        segments.append(Segment(run=run, start=start, end=start + TR * len(volumes)))
        start = segments[-1].end
    files = FilePatterns(bold="{subject}-{run}.nii")
    dataset = Dataset(name="series", tr=TR, subjects=[subject], segments=segments, files=files)
    lengths = {run: len(volumes) for run, volumes in runs.items()}
    layout = Layout(dataset, subject, lengths, mask, np.eye(4), [], NanRule.FAIL, compression)
    path = subject_path(folder, subject)
    with new_subject_file(path, layout) as writer:
        for run, volumes in runs.items():
            run_writer = writer.run(run)
            for number, volume in enumerate(volumes):
                with run_writer.next_volume(slope * (1 + number % 2), 0.0) as out:
                    out[:] = volume // (1 + number % 2)
            source = Source(name=f"{run}.nii", size=0, mtime_ns=0, crc32=0)
            how = {"dtype": "int16", "slope": 1.0, "intercept": 0.0, "largest_error": 0.0, "not_finite": 0}
            run_writer.end(RunRecord(run=run, volumes=len(volumes), source=source, **how))
        writer.finish()
    if motion is not None:
        write_motion(folder, subject, motion)


def write_motion(folder, subject, motion):
    """Write the file of controls of a packed subject, with motion (T, C) by run."""
    with SubjectFile(subject_path(folder, subject)) as file:
        known = {"subject": subject, "dataset": file.dataset_name, "tr": file.tr, "packed": file.checksum}
        header = ControlHeader(**known, volumes=file.volumes_per_run, sources=[], notes=[])
    values = np.concatenate(list(motion.values())).astype(np.float32)
    series = VolumeSeries(tuple(f"m{i}" for i in range(values.shape[1])), values)
    write_control_file(control_path(folder, subject), header, {"motion": [series]})


def write_emotions(path, emotion, classes=("A", "B", "C")):
    """Write labels of so many volumes, -1 for none, from the film's beginning."""
    soft = np.full((len(emotion), len(classes)), 1 / len(classes), np.float32)
    votes = np.full(len(emotion), 2)
    times = TR * np.arange(len(emotion))
    write_labels(path, classes=classes, movie_time=times, emotion=emotion, votes=votes, observers=8, soft=soft)
    return path
