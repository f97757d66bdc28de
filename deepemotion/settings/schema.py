"""Everything that determines one training's result, as a schema: data, split, model, training, and its subjects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import pydantic
from pydantic import AfterValidator, BeforeValidator, Field

from deepemotion import config_files
from deepemotion.config_files import Section
from deepemotion.errors import from_validation
from deepemotion.settings.overrides import apply_overrides
from deepemotion.subject_label import SubjectLabel

# What a control's features are made of: the position in run and film, means of the packed volumes over the mask and
# its slices, head motion, the stimulus, heart beat and breathing, and volumes of a phantom.
ControlName = Literal["time", "global-signal", "motion", "stimulus", "physio", "phantom"]
CONTROLS: tuple[ControlName, ...] = get_args(ControlName)


def _names(value: object) -> object:
    """Return names as a list: `none`, or names joined by `+`, stand for one on the command line."""
    if isinstance(value, str):
        return [] if value == "none" else value.split("+")
    return value


def _in_order(names: tuple[ControlName, ...]) -> tuple[ControlName, ...]:
    return tuple(name for name in CONTROLS if name in names)


# Sorted and each once, so that what removes the same is the same trial.
Confounds = Annotated[tuple[ControlName, ...], BeforeValidator(_names), AfterValidator(_in_order)]


class DataSettings(Section):
    """Which label each volume gets, and how volumes are normalised.

    `permutation` 0 keeps the labels. A number from 1 on is the seed of a permutation that unties them from the
    brain: `shift` moves the labels of each run circularly, `block` shuffles its blocks of equal labels.
    `crop` cuts dense volumes to the bounding box of the mask. `downsample` 2 averages the voxels of the mask in each
    block of 2 x 2 x 2 when volumes are loaded, before anything is normalised. With a `control`, a volume is not its
    voxels but features that hold no brain, of the same volumes with the same labels. `confounds` are controls whose
    features are regressed out of every voxel, run by run, before volumes are normalised.
    """

    # YAML reads an unquoted `true` as a boolean.
    timing: Annotated[Literal["true", "cumulative"], BeforeValidator(lambda v: "true" if v is True else v)] = "true"
    lag_s: Annotated[float, Field(ge=0, le=30)] = 4.0
    drop_overlaps: bool = True
    normalisation: Literal["none", "zscore", "zscore+detrend", "psc"] = "zscore+detrend"
    crop: bool = False
    downsample: Literal[1, 2] = 1
    permutation: Annotated[int, Field(ge=0, lt=2**31)] = 0
    permute: Literal["shift", "block"] = "shift"
    control: ControlName | None = None
    confounds: Confounds = ()

    @pydantic.model_validator(mode="after")
    def _of_voxels(self) -> Self:
        if self.control is not None and self.confounds:
            raise ValueError(
                f"control={self.control} has no voxels that confounds={'+'.join(self.confounds)} could be regressed"
                " out of; leave one of them out"
            )
        return self


# The largest number in single precision, in which networks are trained.
_LARGEST = 3.4e38
# What `split.fold` counts under each protocol: nothing, the number of a run, or one of `split.folds` parts.
_FOLD_IS: dict[str, Literal["run", "fold"] | None] = {"random": None, "block": "fold", "run": "run"}

# Numbers of runs, whose order and repetition mean nothing.
_Runs = Annotated[
    list[Annotated[int, Field(ge=1)]], Field(min_length=1), AfterValidator(lambda runs: sorted(dict.fromkeys(runs)))
]


class SplitSettings(Section):
    """Which moments of the movie are used for training and which for validation.

    `random` draws volumes by `seed` and `validation_share`. `run` leaves the run `fold` out. `block` cuts the movie
    into blocks of `block_s` seconds and leaves out every `folds`-th, starting with number `fold`. Both also leave out
    the `gap_s` seconds around it. Subjects that are not trained on are tested at validation moments (`random`: at all).
    `outer` is a second fold that neither trains nor validates, with the gap around it: `fold` then is the inner fold of
    a nested cross-validation, which chooses settings for the model that is tested on the outer one.
    With `training_runs` only volumes of these runs train; what validates stays the same.
    """

    protocol: Literal["random", "block", "run"] = "random"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.2
    fold: Annotated[int, Field(ge=1)] | None = None
    outer: Annotated[int, Field(ge=1)] | None = None
    training_runs: _Runs | None = None
    folds: Annotated[int, Field(ge=2, le=10_000)] = 5
    block_s: Annotated[float, Field(gt=0, le=1e6)] = 120.0
    gap_s: Annotated[float, Field(ge=0, le=1e6)] = 20.0

    @property
    def fold_is(self) -> Literal["run", "fold"] | None:
        """What `fold` counts: runs by their numbers, parts from 1 to `folds`, or None where there are no folds."""
        return _FOLD_IS[self.protocol]


class ModelSettings(Section):
    """The model, by its name in the registry. `atlas` is a NIfTI label image, for models on region means."""

    name: str = "cnn3d"
    atlas: str | None = None


class AugmentSettings(Section):
    """Random changes of training volumes; 0 turns one off.

    `shift_voxels`: the largest shift along each axis. `intensity`: SD of a factor for each volume, about 1. `noise`:
    SD of noise for each voxel, in units of the normalised volume. `mixup`: alpha of the Beta distribution that pairs
    are mixed by.
    """

    shift_voxels: Annotated[int, Field(ge=0, le=1000)] = 0
    intensity: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    noise: Annotated[float, Field(ge=0, le=1e6)] = 0.0
    mixup: Annotated[float, Field(ge=0, le=1e6)] = 0.0


class AlignSettings(Section):
    """Functional alignment across subjects, estimated on training runs only; `features` is the model space's size."""

    method: Literal["none", "procrustes", "srm"] = "none"
    features: Annotated[int, Field(ge=2, le=100_000)] = 50


class TrainSettings(Section):
    """Optimisation. `threads` is included because the order of CPU summation decides the last bits of a result.

    `loss` `soft` compares with the share of observers for each class; `class_weights` `balanced` weights each class by
    the inverse of its frequency among the training volumes. `compile` fuses the model's operations by `torch.compile`.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    learning_rate: Annotated[float, Field(gt=0, le=_LARGEST)] = 1e-3
    batch_size: Annotated[int, Field(ge=1, lt=2**31)] = 20
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Literal["auto", "float32", "bf16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=1, le=4096)] = 1
    loss: Literal["cross-entropy", "soft"] = "cross-entropy"
    class_weights: Literal["none", "balanced"] = "none"
    weight_decay: Annotated[float, Field(ge=0, le=_LARGEST)] = 0.0
    compile: bool = False


class TrialSettings(Section):
    """The sections that an experiment's YAML and a single training share."""

    data: DataSettings = DataSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    train: TrainSettings = TrainSettings()
    augment: AugmentSettings = AugmentSettings()
    align: AlignSettings = AlignSettings()


class Trial(TrialSettings):
    """One training: the settings, the subjects trained on, and those only tested on."""

    subjects: Annotated[list[SubjectLabel], Field(min_length=1)]
    unseen_subjects: list[SubjectLabel] = Field(default=[])

    @property
    def all_subjects(self) -> list[str]:
        """The subjects trained on, and then those only tested on."""
        return [*self.subjects, *self.unseen_subjects]

    @pydantic.model_validator(mode="after")
    def _disjoint(self) -> Self:
        both = set(self.subjects) & set(self.unseen_subjects)
        if both:
            raise ValueError(f"subject {min(both)} is both trained on and unseen")
        return self


TRIAL_SECTIONS = tuple(TrialSettings.model_fields)
# Settings that earlier versions did not have: where they are None or empty, a trial is what it was without them.
_LATER = (("data", "control"), ("data", "confounds"), ("split", "outer"), ("split", "training_runs"))


def described(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's sections as plain values for hashing: without the later settings where they are unset."""
    plain = dict(sections)
    for section, name in _LATER:
        # A damaged record may have anything in the place of a section.
        if isinstance(plain.get(section), Mapping) and plain[section].get(name) in (None, [], ()):
            plain[section] = {key: value for key, value in plain[section].items() if key != name}
    return plain


def make_trial(settings: TrialSettings, subjects: list[str], unseen_subjects: list[str]) -> Trial:
    """Return the trial of these settings and subjects; their order is no part of it. Raises UserError."""
    sections = {name: getattr(settings, name) for name in TRIAL_SECTIONS}
    try:
        return Trial(**sections, subjects=sorted(subjects), unseen_subjects=sorted(unseen_subjects))
    except pydantic.ValidationError as error:
        raise from_validation(error, "--subjects and --unseen", Trial) from error


def read_settings(config: Path, overrides: list[str]) -> TrialSettings:
    """Read the trial sections of an experiment's YAML, with `key=value` overrides. Raises UserError naming the key."""
    content = apply_overrides(config_files.read_yaml(config), overrides, config)
    # An experiment's other sections mean nothing here; setting one would be a mistake.
    wanted = {*TRIAL_SECTIONS, *(override.partition(".")[0].strip() for override in overrides)}
    try:
        return TrialSettings.model_validate({key: value for key, value in content.items() if key in wanted})
    except pydantic.ValidationError as error:
        raise from_validation(error, config, TrialSettings, overrides) from error
