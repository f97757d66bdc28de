"""The parameters of a simulated dataset: their limits, the description they give, and the random numbers."""

import itertools
import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from deepemotion import config_files
from deepemotion.dataset.description import Dataset, Segment
from deepemotion.errors import UserError

TR_S = 2.0
VOXEL_MM = 1.2
# Adjacent runs of the real dataset replay 16 s of the movie (Labs et al. 2015).
OVERLAP_S = 16.0
RUNS = 8
SHORTEST_RUN = 2 * int(OVERLAP_S / TR_S) + 1
LONGEST_RUN = 1000
SMALLEST_SIDE = 8
LARGEST_SIDE = 512
MOST_SUBJECTS = 500


@dataclass(frozen=True)
class Parameters:
    """Everything that determines the simulated data, bit for bit.

    `shape` is (X, Y, Z) in voxels; `volumes_per_run` one number for all eight runs or eight numbers; `signal` the
    percent signal change at the centre of an active region under a sustained emotion (0: no signal at all);
    `idiosyncrasy` in [0, 1] how far each subject's regions lie from the template's. `loudness` and `motion` are how far
    apart emotions are in the film's loudness and in the position of the head, in standard deviations of these (0: they
    have nothing to do with emotions); `phantom` adds the scans of one. None of the three changes the brain. Raises
    UserError if a value is outside its limits.
    """

    subjects: int = 19
    shape: tuple[int, ...] = (33, 44, 12)
    volumes_per_run: int | tuple[int, ...] = 60
    signal: float = 1.0
    idiosyncrasy: float = 0.5
    seed: int = 0
    loudness: float = 0.0
    motion: float = 0.0
    phantom: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.subjects <= MOST_SUBJECTS:
            raise UserError(f"subjects: {self.subjects} is not between 1 and {MOST_SUBJECTS}")
        if len(self.shape) != 3 or not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in self.shape):
            raise UserError(
                f"shape: {_listed(self.shape)} is not three numbers of voxels, each {SMALLEST_SIDE} to {LARGEST_SIDE}"
            )
        if len(self.run_volumes) != RUNS:
            raise UserError(f"volumes-per-run: {len(self.run_volumes)} numbers; give one for all runs, or {RUNS}")
        for volumes in self.run_volumes:
            if not SHORTEST_RUN <= volumes <= LONGEST_RUN:
                raise UserError(
                    f"volumes-per-run: {volumes} is not between {SHORTEST_RUN} and {LONGEST_RUN}"
                    f" (a run shares {OVERLAP_S:g} s with each neighbour)"
                )
        if not (math.isfinite(self.signal) and 0 <= self.signal <= 100):
            raise UserError(f"signal: {self.signal:g} is not between 0 and 100 percent")
        if not 0 <= self.idiosyncrasy <= 1:
            raise UserError(f"idiosyncrasy: {self.idiosyncrasy:g} is not between 0 and 1")
        for name in ("loudness", "motion"):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= 100):
                raise UserError(f"{name}: {value:g} is not between 0 and 100 standard deviations")
        if self.seed < 0:
            raise UserError(f"seed: {self.seed} is negative")

    @property
    def run_volumes(self) -> tuple[int, ...]:
        """The number of volumes of each run."""
        return (self.volumes_per_run,) * RUNS if isinstance(self.volumes_per_run, int) else self.volumes_per_run

    def dataset(self) -> Dataset:
        """Return the description: the real dataset's subjects (then 21, 22, ...) and file patterns, our segments."""
        real = Dataset.read(config_files.find("studyforrest", "datasets"))
        labels = itertools.chain(real.subjects, (f"{number:02d}" for number in itertools.count(21)))
        segments = []
        start = 0.0
        for run, volumes in enumerate(self.run_volumes, start=1):
            end = start + volumes * TR_S
            segments.append(Segment(run=run, start=start, end=end))
            start = end - OVERLAP_S
        return Dataset(
            # A seed tells another story: its labels are not those of other volumes.
            name="simulated" if self.seed == 0 else f"simulated-seed-{self.seed}",
            tr=TR_S,
            subjects=list(itertools.islice(labels, self.subjects)),
            segments=segments,
            files=real.files,
            controls=[source for source in real.controls if source.control != "phantom" or self.phantom],
        )

    def generator(self, stream: "Stream", *keys: int) -> np.random.Generator:
        """Return the random numbers of one part of the dataset, independent of all others and of the order of work."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(stream, *keys)))


class Stream(IntEnum):
    """What random numbers are for; part of their key, so that each part can be made by itself."""

    STORY = 0
    OBSERVER = 1
    TEMPLATE = 2
    SUBJECT = 3
    RUN = 4
    CONTROL = 5


def _listed(numbers: tuple[int, ...]) -> str:
    return ",".join(str(number) for number in numbers)
