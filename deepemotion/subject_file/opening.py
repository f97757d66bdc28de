"""Opens an HDF5 file as a subject file, or reports what it is instead."""

from pathlib import Path

import h5py
import pydantic

from deepemotion.errors import UserError, from_validation
from deepemotion.subject_file.format import FORMAT, FORMAT_VERSION, Header
from deepemotion.subject_file.options import Compression

# What h5py raises, depending on where the damage is.
HDF5_ERRORS = (AttributeError, KeyError, OSError, RuntimeError, TypeError, ValueError)

_MOVE = "move it elsewhere and pack the subject again"


class NotASubjectFileError(UserError):
    """The file is whole, but this program did not write it or cannot read it, so nothing may replace it."""


def open_hdf5(path: Path) -> h5py.File:
    """Open a file to read. Raises UserError if it is missing, truncated or not an HDF5 file."""
    if not path.exists():
        raise UserError(f"{path}: no such file; pack the subject: deepemotion pack DATASET --out {path.parent}")
    if path.is_dir():
        raise NotASubjectFileError(f"{path}: a folder, not a packed subject; name the files in it: {path}/sub-*.h5")
    try:
        # Locks fail on many shared file systems; nothing writes in place, so readers need none.
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "truncated" in str(error):
            raise UserError(f"{path}: truncated; delete it and pack the subject again") from error
        if isinstance(error, PermissionError):
            raise UserError(f"{path}: cannot read: {error.strerror}") from error
        raise NotASubjectFileError(f"{path}: not an HDF5 file, so not a packed subject; {_MOVE}") from error


def read_header(file: h5py.File, path: Path) -> Header:
    """Read the root attributes. Raises UserError for another format, a newer version, and a missing filter."""
    if file.attrs.get("format") != FORMAT:
        raise NotASubjectFileError(
            f"{path}: an HDF5 file, but not a packed subject (its attribute `format` is not {FORMAT!r}); {_MOVE}"
        )
    if (version := int(file.attrs["format_version"])) > FORMAT_VERSION:
        raise NotASubjectFileError(
            f"{path}: format version {version}, but this program reads up to {FORMAT_VERSION}; update deepemotion"
        )
    try:
        header = Header.read(file)
    except pydantic.ValidationError as error:
        raise from_validation(error, path, Header) from error
    if header.compression is Compression.BITSHUFFLE:
        try:
            import hdf5plugin  # noqa: F401  (importing it registers the filter)
        except ImportError as error:
            raise UserError(f"{path}: compressed with bitshuffle; pip install 'deepemotion[compression]'") from error
    return header
