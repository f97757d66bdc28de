"""What reads the files that controls are made of, and the packed ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from input_examples import Examples

Read = Callable[[Path], object]


def example(control: str, ending: str = "") -> Callable[[Examples], Path]:
    """Return what finds the file of a control of subject 01's first run; `ending` replaces that of its name."""

    def find(examples: Examples) -> Path:
        from deepemotion.dataset import Dataset

        source = next(one for one in Dataset.of_folder(examples.raw).controls if one.control == control)
        path = examples.raw / source.file.format(subject="01", run=1)
        return path.with_name(path.name.partition(".")[0] + ending) if ending else path

    return find


def source(control: str, kind: str) -> Callable[[Examples, Path], Read]:
    """Return what makes, of an example of a control, what reads the same file with other content."""

    def prepare(examples: Examples, folder: Path) -> Read:
        import shutil

        from deepemotion.control_sources import ControlSource
        from deepemotion.packing.control_readers import ControlRuns, read_series

        recording = example("physio")(examples)
        shutil.copy(recording, folder)
        volumes = len(example("motion")(examples).read_text().splitlines())

        def read(path: Path) -> object:
            is_sidecar = path.suffix == ".json"
            files = {1: folder / recording.name if is_sidecar else path}
            described = ControlSource(control=control, kind=kind, file="{run}")
            runs = ControlRuns(described, 2.0, files, {1: path}, {1: volumes}, {1: 2.0 * volumes})
            series, notes = read_series(runs)
            assert not np.isinf(series.values).any()
            return series.columns, notes

        return read

    return prepare


def packed(examples: Examples, folder: Path) -> Read:
    """Read all series of a packed file."""
    from deepemotion.subject_file.control_file import ControlFile

    def read(path: Path) -> object:
        with ControlFile(path) as file:
            return [len(file.series(control)) for control in file.header.controls]

    return read
