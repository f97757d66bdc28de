"""The folder of packed subject files: creates it, finds the files in it, and opens several together."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from deepemotion.errors import UserError
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.subject_label import require_subject_label


class OpenSubjects(dict[str, SubjectFile]):
    """Open subject files by subject; a context manager that closes them."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files, and release them with what they hold in memory."""
        while self:
            self.popitem()[1].close()


def open_subjects(folder: Path, subjects: Iterable[str]) -> OpenSubjects:
    """Open the packed files of several subjects in `folder`. Raises UserError as `SubjectFile.of` does."""
    files = OpenSubjects()
    try:
        for subject in subjects:
            files[subject] = SubjectFile.of(folder, subject)
    except BaseException:
        files.close()
        raise
    return files


def make_folder(folder: Path) -> None:
    """Create a folder and its parents where they are missing. Raises UserError where that is impossible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot create this folder: {error.strerror}") from error


def find_subjects(folder: Path) -> dict[str, Path]:
    """Return subject label -> packed file, sorted.

    Raises UserError where the folder is missing or holds none, and for a file whose name cannot be a subject's.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; create it with: deepemotion pack DATASET --out {folder}")
    files = {path.stem.removeprefix("sub-"): path for path in sorted(folder.glob("sub-*.h5"))}
    if not files:
        raise UserError(
            f"{folder}: holds no packed subject (sub-XX.h5); fill it with: deepemotion pack DATASET --out {folder}"
        )
    for label, path in files.items():
        try:
            require_subject_label(label)
        except ValueError as error:
            raise UserError(f"{folder}: {path.name!r}: {error}; rename or remove the file") from error
    return files
