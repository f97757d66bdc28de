"""Changes of a packed subject's structure: datasets and attributes of other shapes, types and values."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import input_shapes as shapes
import numpy as np
from fault_damage import datasets
from hypothesis import strategies as st

Change = tuple[str, str, Any]

_TYPES = ["<i2", "<i8", "<f4", "<f8", "S3", "?", "<u4", ">f8"]
_FILLS = [0, 1, -1, 127, 1e30, float("nan"), float("inf"), 2**31 - 1]
_LARGEST = 2**24
_HOW = ["missing", "shorter", "longer", "empty", "transposed", "type", "filled", "one value", "scalar", "huge", "group"]


def changes(example: Path) -> tuple[st.SearchStrategy[list[Change]], Callable[[Path, list[Change]], None]]:
    """Return what gives changes of a packed subject, and the function that applies them to a copy of it."""
    with h5py.File(example) as file:
        attributes = sorted(file.attrs)
    of_data = st.tuples(
        st.sampled_from(datasets(example)),
        st.sampled_from(_HOW),
        st.one_of(st.sampled_from(_TYPES), st.sampled_from(_FILLS)),
    )
    of_attributes = st.tuples(st.sampled_from(attributes), st.just("attribute"), shapes.values)
    return st.lists(st.one_of(of_data, of_data, of_attributes), min_size=1, max_size=2), _apply


def _apply(path: Path, changes: list[Change]) -> None:
    with h5py.File(path, "r+") as file:
        for name, how, value in changes:
            if how == "attribute":
                _change_attribute(file, name, value)
            elif name in file:
                _change_dataset(file, name, how, value)


def _change_attribute(file: h5py.File, name: str, value: Any) -> None:
    import json

    text = json.dumps(value) if isinstance(value, list | dict) else value
    try:
        if text is None:
            del file.attrs[name]
        else:
            file.attrs[name] = text
    except (TypeError, ValueError, OverflowError, OSError, RuntimeError, KeyError):
        # HDF5 cannot hold it: the attribute is gone then.
        if name in file.attrs:
            del file.attrs[name]


def _change_dataset(file: h5py.File, name: str, how: str, value: Any) -> None:
    # What an earlier change has made huge cannot be read here either.
    if not isinstance(file[name], h5py.Dataset) or file[name].size > _LARGEST:
        return
    stored, chunks = np.asarray(file[name][()]), file[name].chunks
    if how == "filled":
        with np.errstate(all="ignore"):
            file[name][...] = np.full(stored.shape, np.float64(_number(value))).astype(stored.dtype)
        return
    if how == "one value":
        if not stored.size:
            return
        with np.errstate(all="ignore"):
            stored.flat[stored.size // 2] = np.float64(_number(value)).astype(stored.dtype)
        file[name][...] = stored
        return
    del file[name]
    if how == "missing":
        return
    if how == "group":
        file.create_group(name)
        return
    if how == "huge":
        # Larger than any memory, while the file is as small as before.
        file.create_dataset(name, (2**40, *stored.shape[1:]), stored.dtype, chunks=chunks or (2**20, *stored.shape[1:]))
        return
    other = {
        "shorter": lambda: stored[: len(stored) // 2],
        "longer": lambda: np.concatenate([stored, stored]),
        "empty": lambda: stored[:0],
        "transposed": lambda: stored.T,
        "scalar": lambda: stored.ravel()[0],
        "type": lambda: _as_type(stored, value),
    }[how]()
    same_chunks = chunks is not None and len(chunks) == np.ndim(other) and how != "transposed"
    fits = same_chunks and all(c <= s for c, s in zip(chunks, np.shape(other), strict=True))
    file.create_dataset(name, data=other, chunks=chunks if fits else None)


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 7.0


def _as_type(stored: np.ndarray[Any, Any], value: Any) -> np.ndarray[Any, Any]:
    with np.errstate(all="ignore"):
        return stored.astype(value if isinstance(value, str) else "<f4")
