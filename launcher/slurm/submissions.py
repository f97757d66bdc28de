"""What a run has submitted to SLURM: one record per submission, in RUN/slurm."""

import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

import deepemotion
from deepemotion.errors import UserError
from deepemotion.files import read_json, readable, write_text
from launcher.run.directory import RunDirectory


@dataclass
class Submission:
    """One submission: what was requested, and the jobs that SLURM made of it.

    `tasks` holds the trials' names of each array task, or all in one for a job with Ray over its nodes. `jobs` are the
    ids of its jobs with the first task of each, since an array longer than the site allows becomes several. `tag` is
    the end of the jobs' names in SLURM, by which a job is found whose id was never known.
    """

    number: int
    mode: str
    tasks: list[list[str]]
    cluster: str
    code: str
    snapshot: str | None = None
    max_parallel: int | None = None
    jobs: dict[str, int] = field(default_factory=dict)
    submitted: Annotated[float, Field(allow_inf_nan=False)] = field(default_factory=time.time)
    tag: str = field(default_factory=lambda: secrets.token_hex(3))

    @property
    def array(self) -> bool:
        """Say whether it is a job array, and not one job with Ray over its nodes."""
        return self.mode == "slurm-array"

    def check_code(self) -> None:
        """Raise UserError if the code has changed since the submission."""
        if code_checksum() != self.code:
            raise UserError(
                f"{_package_folder()}: the code has changed since submission {self.number};"
                " launch again, with --snapshot to keep a copy of the code for the jobs"
            )

    def job_name(self, run: RunDirectory, first_task: int) -> str:
        """Return the name of the job that begins with a task, without the tag."""
        return f"de-{run.path.name}-{self.number}" + (f"-from{first_task}" if first_task else "")

    def adopt(self, names: Mapping[str, str]) -> None:
        """Take up jobs, given by name with their ids, that belong here and are not known.

        Such a job was queued, but whoever submitted it was killed, or got no answer, before its id was written down.
        """
        for name, job in names.items():
            match = re.search(rf"-{self.number}(?:-from(\d+))?-{self.tag}$", name)
            if self.tag and match and job not in self.jobs:
                self.jobs[job] = int(match[1] or 0)

    def job_of(self, trial: str) -> str | None:
        """Return SLURM's id of the job (`123`) or array task (`123_4`) of a trial, None if it is in neither."""
        for index, names in enumerate(self.tasks):
            if trial in names:
                job, first = max(
                    ((job, first) for job, first in self.jobs.items() if first <= index),
                    key=lambda pair: pair[1],
                    default=(None, 0),
                )
                return f"{job}_{index - first}" if job is not None and self.array else job
        return None


_RECORD = pydantic.TypeAdapter(Submission)


def write(run: RunDirectory, submission: Submission) -> None:
    """Write a submission's record."""
    write_text(_path(run, submission.number), json.dumps(asdict(submission), indent=1) + "\n")


def reject(run: RunDirectory, submission: Submission) -> None:
    """Put aside a submission that SLURM did not take.

    Its number stays used: if a job of it should start after all, it finds no such submission and ends.
    """
    path = _path(run, submission.number)
    path.replace(path.with_name(f"rejected-{submission.number:03d}.json"))


def next_number(run: RunDirectory) -> int:
    """Return the number of the next submission, which none has had before, rejected ones included."""
    names = [path.stem for kind in ("submission", "rejected") for path in run.slurm.glob(f"{kind}-*.json")]
    return max((int(name.rpartition("-")[2]) for name in names if name.rpartition("-")[2].isdecimal()), default=0) + 1


def read(run: RunDirectory) -> list[Submission]:
    """Return all submissions of a run, the oldest first."""
    paths = run.slurm.glob("submission-*.json")
    return sorted(map(_parse, paths), key=lambda submission: submission.number)


def read_one(run: RunDirectory, number: int) -> Submission:
    """Return one submission. Raises UserError where there is none of that number."""
    path = _path(run, number)
    if not path.is_file():
        raise UserError(f"{path}: no such submission of this run")
    return _parse(path)


def last_of_each_trial(submissions: Sequence[Submission]) -> dict[str, Submission]:
    """Return the newest submission of each trial that was ever submitted."""
    return {name: submission for submission in submissions for names in submission.tasks for name in names}


def token_file(run: RunDirectory) -> Path:
    """Return the file with the token that authenticates this run's Ray processes to each other."""
    return run.slurm / "token"


def code_checksum(folder: Path | None = None) -> str:
    """Return a hash of the source files of both packages, in `folder` or where they are imported from."""
    root = folder or _package_folder()
    digest = hashlib.sha256()
    files = (path for package in ("deepemotion", "launcher") for path in (root / package).rglob("*"))
    for path in sorted(path for path in files if path.suffix in (".py", ".c")):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _package_folder() -> Path:
    return Path(deepemotion.__file__).resolve().parent.parent


def _path(run: RunDirectory, number: int) -> Path:
    return run.slurm / f"submission-{number:03d}.json"


def _parse(path: Path) -> Submission:
    remedy = "delete it, and submit its trials again"
    with readable(path, remedy):
        # Records of earlier versions have no tag: one made up here would be another each time.
        return _RECORD.validate_python({"tag": ""} | (read_json(path, remedy) or {}))
