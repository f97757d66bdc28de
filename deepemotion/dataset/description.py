"""A dataset's description (segments, TR, file patterns, subjects), and where its runs and masks are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, Self

import pydantic
from pydantic import AfterValidator, Field

from deepemotion import config_files
from deepemotion.config_files import Section
from deepemotion.dataset.control_sources import ControlSource, require_fillable
from deepemotion.errors import UserError, from_validation
from deepemotion.subject_label import SubjectLabel

# Four months: no film is longer, but a time in another unit is. Volumes: an hour at a TR of less than 4 ms.
_MOST_SECONDS, _MOST_VOLUMES = 1e7, 1_000_000


class Film(NamedTuple):
    """What labels and volumes have in common: the dataset's name, and the movie's seconds [start, end)."""

    dataset: str
    start: float
    end: float

    @classmethod
    def of(cls, dataset: str, segments: Sequence["Segment"]) -> "Film":
        """Return the film that a dataset's segments are parts of."""
        return cls(dataset, segments[0].start, max(segment.end for segment in segments))

    @property
    def span(self) -> str:
        """The seconds, for people."""
        return f"{self.start:g} to {self.end:g} s"


class Segment(Section):
    """The part of the stimulus played in one run: movie seconds, half-open [start, end)."""

    run: Annotated[int, Field(ge=1, le=127)]
    start: Annotated[float, Field(ge=-_MOST_SECONDS, le=_MOST_SECONDS)]
    end: Annotated[float, Field(ge=-_MOST_SECONDS, le=_MOST_SECONDS)]

    @pydantic.model_validator(mode="after")
    def _ends_after_start(self) -> Self:
        if self.end <= self.start:
            raise ValueError(f"run {self.run} ends at {self.end} s, not after its start at {self.start} s")
        return self


class FilePatterns(Section):
    """Paths below the dataset's root, with `{subject}` and `{run}` (or `{run:02d}`) where they vary."""

    bold: str
    run_mask: str | None = None
    mask: str | None = None

    @pydantic.field_validator("bold", "run_mask", "mask")
    @classmethod
    def _can_be_filled(cls, pattern: str | None, info: pydantic.ValidationInfo) -> str | None:
        if pattern is not None:
            values: dict[str, object] = {"subject": "01"} if info.field_name == "mask" else {"subject": "01", "run": 1}
            require_fillable(pattern, values)
        return pattern


def _fits_a_table(name: str) -> str:
    if not name.isprintable() or name != name.strip() or '"' in name or not 1 <= len(name) <= 100:
        raise ValueError(f"{name[:100]!r}: use 1 to 100 characters on one line, without quotes or spaces at the ends")
    return name


class Dataset(Section):
    """A run-wise 4D dataset: `configs/datasets/studyforrest.yaml` describes the real one in this schema."""

    name: Annotated[str, AfterValidator(_fits_a_table)]
    tr: Annotated[float, Field(gt=0)]
    subjects: Annotated[list[SubjectLabel], Field(min_length=1)]
    segments: Annotated[list[Segment], Field(min_length=1)]
    files: FilePatterns
    controls: list[ControlSource] = Field(default=[])

    @pydantic.model_validator(mode="after")
    def _runs_in_order(self) -> Self:
        starts = [segment.start for segment in self.segments]
        ends = [segment.end for segment in self.segments]
        runs = [segment.run for segment in self.segments]
        if starts != sorted(starts) or ends != sorted(ends) or len(set(runs)) != len(runs):
            raise ValueError("segments: each run once, in the order of their start and end")
        if (ends[-1] - starts[0]) / self.tr > _MOST_VOLUMES:
            raise ValueError(f"tr: {self.tr:g} s gives more than {_MOST_VOLUMES} volumes; are all times in seconds?")
        if len(set(self.subjects)) != len(self.subjects):
            raise ValueError("subjects: each subject once")
        files = {self.files.bold.format(subject=subject, run=run) for subject in self.subjects for run in runs}
        if len(files) != len(self.subjects) * len(runs):
            raise ValueError(
                f"files.bold {self.files.bold!r}: names one file for several runs; use {{subject}} and {{run}}"
            )
        for source in self.controls:
            if len({source.file.format(subject=self.subjects[0], run=run) for run in runs}) != len(runs):
                raise ValueError(f"controls {source.file!r}: names one file for several runs; use {{run}}")
        return self

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a description. Raises UserError that names the file and key."""
        try:
            return cls.model_validate(config_files.read_yaml(path))
        except pydantic.ValidationError as error:
            raise from_validation(error, path, cls) from error

    @classmethod
    def of_folder(cls, root: Path, description: str | None = None) -> Self:
        """Read the description of the dataset at `root`: by name or path, or else from its `dataset.yaml`."""
        if not root.is_dir():
            raise UserError(f"{root}: no such folder; give the root of the dataset")
        if description is not None:
            return cls.read(config_files.find(description, "datasets"))
        path = root / "dataset.yaml"
        if not path.is_file():
            raise UserError(f"{path}: not found; give --dataset studyforrest, or the path of a description")
        return cls.read(path)

    @property
    def film(self) -> Film:
        """The film, by this dataset's name and its span."""
        return Film.of(self.name, self.segments)

    def select_subjects(self, wanted: list[str] | None) -> list[str]:
        """Return the wanted subjects in the dataset's order, None for all. Raises UserError for an unknown one."""
        if wanted is None:
            return list(self.subjects)
        unknown = [subject for subject in wanted if subject not in self.subjects]
        if unknown:
            raise UserError(f"subject {unknown[0]}: not in dataset {self.name}, which has {', '.join(self.subjects)}")
        return [subject for subject in self.subjects if subject in wanted]

    def volumes(self, segment: Segment) -> int:
        """Return how many volumes a complete run of `segment` has."""
        return round((segment.end - segment.start) / self.tr)

    def bold(self, root: Path, subject: str, run: int) -> Path:
        """Return the run's 4D BOLD file. Raises UserError where it is missing, with what to do about it."""
        return _present(
            root,
            self.files.bold.format(subject=subject, run=run),
            f", which is run {run} of sub-{subject}; add it, or leave the subject out with --subjects, or leave the run"
            f" out for all subjects: remove its segment from the description of {self.name}",
        )

    def masks(self, root: Path, subject: str) -> list[Path]:
        """Return the files whose intersection is the subject's mask: the common mask, else the run masks, else none."""
        if self.files.mask is not None:
            return [_present(root, self.files.mask.format(subject=subject))]
        if self.files.run_mask is not None:
            return [
                _present(root, self.files.run_mask.format(subject=subject, run=segment.run))
                for segment in self.segments
            ]
        return []


def _present(root: Path, relative: str, remedy: str = "") -> Path:
    path = root / relative
    if path.exists():
        return path
    if path.is_symlink():
        raise UserError(f"{path}: its content is not here (a git-annex link); fetch it: datalad get -d {root} {path}")
    raise UserError(f"{path}: no such file{remedy}")
