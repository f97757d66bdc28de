"""Reads generated binary files: NIfTI, packed subjects, checkpoints."""

import io
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import input_shapes as shapes
from hypothesis import strategies as st
from input_examples import Examples

# Field of a NIfTI-1 header: its offset in bytes, how many values, and their type for struct.
_FIELDS = {
    "sizeof_hdr": (0, "i"),
    "dim": (40, "8h"),
    "intent_code": (68, "h"),
    "datatype": (70, "h"),
    "bitpix": (72, "h"),
}
_FIELDS |= {"pixdim": (76, "8f"), "vox_offset": (108, "f"), "scl_slope": (112, "f"), "scl_inter": (116, "f")}
_FIELDS |= {"xyzt_units": (123, "B"), "qform_code": (252, "h"), "sform_code": (254, "h"), "quaternion": (256, "6f")}
_FIELDS |= {"srow": (280, "12f"), "magic": (344, "4s")}
_VOLUMES = 3


def _ready(inputs: st.SearchStrategy[Any], parse: Callable[[Any], object], example: object = None) -> Any:
    from input_targets import Ready

    return Ready(inputs, parse, example)


def _nifti(folder: Path) -> Callable[[bytes], object]:
    from deepemotion.packing.nifti import VolumeStream, read_header

    def read(value: bytes) -> object:
        path = folder / "bold.nii"
        path.write_bytes(value)
        header = read_header(path)
        return [volume.sum() for volume in itertools.islice(VolumeStream(header), _VOLUMES + 1)]

    return read


def _example_nifti() -> bytes:
    import nibabel
    import numpy as np

    volumes = np.arange(5 * 4 * 3 * _VOLUMES, dtype=np.int16).reshape(5, 4, 3, _VOLUMES)
    return bytes(nibabel.Nifti1Image(volumes, np.diag([3.0, 3.0, 3.0, 1.0])).to_bytes())


@st.composite
def _changed_fields(draw: st.DrawFn, example: bytes) -> bytes:
    import struct

    content = bytearray(example)
    for _ in range(draw(st.integers(1, 3))):
        offset, kind = _FIELDS[draw(st.sampled_from(sorted(_FIELDS)))]
        found: list[Any] = list(struct.unpack_from(f"<{kind}", content, offset))
        place = draw(st.integers(0, len(found) - 1))
        if kind[-1] == "f":
            found[place] = draw(st.one_of(st.floats(width=32), st.sampled_from([0.0, 352.5, 1e30, -1.0, 2.0**31])))
        elif kind[-1] == "s":
            found[place] = draw(st.sampled_from([b"n+1\0", b"ni1\0", b"n+2\0", b"\0\0\0\0", b"ANALYZE"[:4]]))
        else:
            bits = struct.calcsize(kind[-1]) * 8
            low, high = (0, 2**bits - 1) if kind[-1].isupper() else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
            near = [value for value in (-1, 0, 1, 2, 4, 5, 8, 16, 348, 512, 768, low, high) if low <= value <= high]
            found[place] = draw(st.one_of(st.sampled_from(near), st.integers(low, high)))
        struct.pack_into(f"<{kind}", content, offset, *found)
    return bytes(content)


def nifti_fields(examples: Examples, folder: Path) -> Any:
    """NIfTI files whose header's fields hold other values."""
    example = _example_nifti()
    return _ready(_changed_fields(example), _nifti(folder), example)


def nifti_bytes(examples: Examples, folder: Path) -> Any:
    """NIfTI files with other bytes."""
    example = _example_nifti()
    return _ready(shapes.any_file(example, shapes.byte_strings(example)), _nifti(folder), example)


def _subject(examples: Examples, folder: Path) -> Callable[[Path], object]:
    """Return what verifies a packed subject, plans with it, and loads a trial of it."""
    from deepemotion import config_files
    from deepemotion.settings.schema import make_trial
    from deepemotion.subject_file.verify import problems
    from deepemotion.training.loop import train
    from deepemotion.training.trial_directory import TrialDirectory
    from launcher.planning import data_facts, experiment

    wanted = experiment.read(config_files.find("demo"), ["train.epochs=1", "model.name=linear"], {}, {})
    trial = make_trial(wanted, ["01"], [])
    labels = examples.finished.labels

    def read(path: Path) -> object:
        from deepemotion.errors import UserError

        out = folder / "trial"
        shutil.rmtree(out, ignore_errors=True)
        said: list[object] = []
        for step in (
            lambda: problems(path),
            lambda: data_facts.read(path.parent, labels, wanted),
            lambda: train(trial, path.parent, labels, TrialDirectory(out), lambda metrics: None),
        ):
            try:
                said.append(step())
            except UserError as error:
                if "\n" in str(error):
                    raise
                said.append(str(error))
        return said

    return read


def subject_bytes(examples: Examples, folder: Path) -> Any:
    """Packed subjects with other bytes."""
    path = folder / "packed" / "sub-01.h5"
    path.parent.mkdir()
    example, read = (examples.finished.packed / path.name).read_bytes(), _subject(examples, folder)

    def parse(value: bytes) -> object:
        path.write_bytes(value)
        return read(path)

    return _ready(shapes.byte_strings(example), parse, example)


def subject_structure(examples: Examples, folder: Path) -> Any:
    """Packed subjects with datasets and attributes that are missing, or of other shapes, types and values."""
    from subject_structures import changes

    path = folder / "packed" / "sub-01.h5"
    path.parent.mkdir()
    example, read = examples.finished.packed / path.name, _subject(examples, folder)
    inputs, apply = changes(example)

    def parse(value: object) -> object:
        shutil.copyfile(example, path)
        apply(path, value)
        return read(path)

    return _ready(inputs, parse)


def trained_again(run: Path) -> object:
    """Train the trials of a run that have a folder, as the same command again would, to their last epoch."""
    from deepemotion.training.data_sources import Sources
    from deepemotion.training.loop import train
    from launcher.run.directory import RunDirectory

    directory, sources = RunDirectory(run), Sources.read(run)
    planned = [one for one in directory.read_plan() if directory.trial(one.name).path.exists()]
    results = []
    for one in planned:
        where = sources.packed, sources.labels, directory.trial(one.name)
        results.append(train(one.trial, *where, lambda metrics: None))
    return results


def _checkpoint(examples: Examples, folder: Path) -> tuple[Path, Path, Path]:
    """Return a run of which one trial is trained but for its last epoch, its last checkpoint, and the whole one."""
    from text_inputs import copy_of_run

    run, kept = copy_of_run(examples, folder), folder / "kept"
    own = run / "trials" / examples.interrupted
    shutil.copytree(own, kept)
    return run, own, kept


def checkpoint_bytes(examples: Examples, folder: Path) -> Any:
    """Checkpoints with other bytes."""
    run, own, kept = _checkpoint(examples, folder)
    example = (kept / "checkpoints" / "last.pt").read_bytes()

    def parse(value: bytes) -> object:
        shutil.rmtree(own)
        shutil.copytree(kept, own)
        (own / "checkpoints" / "last.pt").write_bytes(value)
        (own / "checkpoints" / "previous.pt").write_bytes(value)
        return trained_again(run)

    return _ready(shapes.any_file(example, shapes.byte_strings(example)), parse, example)


def checkpoint_structure(examples: Examples, folder: Path) -> Any:
    """Checkpoints that torch reads, with another state in them."""
    import torch

    run, own, kept = _checkpoint(examples, folder)
    state = torch.load(kept / "checkpoints" / "last.pt", weights_only=True)

    def parse(value: object) -> object:
        content = io.BytesIO()
        try:
            torch.save(value, content)
        except Exception:
            # Not every structure can be written; what torch does not write it does not read.
            return None
        shutil.rmtree(own)
        shutil.copytree(kept, own)
        for name in ("last.pt", "previous.pt"):
            (own / "checkpoints" / name).write_bytes(content.getvalue())
        return trained_again(run)

    return _ready(shapes.structures(state), parse, state)
