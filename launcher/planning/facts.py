"""What planning needs to know of the data: the packed subjects, the labels and the atlases."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SubjectFacts:
    """What planning needs to know of a packed subject; `checksum` identifies its content.

    `controls` has the same of each control that is packed beside it, by the control's name. `regressors` is how many
    independent features a run has of confounds, by `+` and their names.
    """

    checksum: str
    shape: tuple[int, int, int]
    box: tuple[int, int, int]  # sides of the mask's bounding box
    voxels: int
    volumes: int
    runs: tuple[int, ...]
    controls: Mapping[str, str] = field(default_factory=dict)
    regressors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class AtlasFacts:
    """The absolute path of an atlas, by which any worker finds it; `checksum` identifies its content."""

    path: str
    checksum: str


@dataclass(frozen=True)
class DataFacts:
    """The packed subjects, in order, the labels, and the atlases by the paths that the experiment gives.

    `stretches` are the film's seconds at the first and the last volume of each run; none stand for an unknown film.
    """

    subjects: dict[str, SubjectFacts]
    labels_checksum: str
    labelled_share: float
    classes: int
    atlases: dict[str, AtlasFacts] = field(default_factory=dict)
    stretches: tuple[tuple[float, float], ...] = ()
