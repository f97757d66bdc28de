"""The data of a run for its report: what packing found in each subject, and what deserves attention."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from deepemotion.errors import UserError
from deepemotion.subject_file import summary
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.training.data_sources import Sources
from launcher.run.directory import RunDirectory


@dataclass(frozen=True)
class InputData:
    """A row of text for each subject, below a row of column titles (nothing if none can be read), and notes."""

    rows: list[list[str]]
    notes: list[str] = field(default_factory=list)


def read(run: RunDirectory) -> InputData:
    """Return what packing found in the subjects that any trial of a run reads, as far as their files can be read.

    Raises UserError where the run's sources are damaged.
    """
    packed = Sources.read(run.path).packed
    subjects = sorted({subject for trial in run.read_plan() for subject in trial.subjects})
    notes: list[str] = []
    with ExitStack() as opened:
        files: list[SubjectFile] = []
        for subject in subjects:
            try:
                files.append(opened.enter_context(SubjectFile.of(packed, subject)))
            except UserError as error:
                notes.append(f"sub-{subject} cannot be read any more ({error})")
        rows = summary.subject_rows(files) if files else []
        notes += [note for file in files for note in summary.notes(file.header)]
    return InputData(rows, notes)
