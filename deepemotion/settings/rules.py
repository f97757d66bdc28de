"""Rejects settings that cannot work, whatever the data; plans and trainings share these rules."""

from deepemotion.errors import UserError
from deepemotion.settings.schema import SplitSettings, TrialSettings


def refuse_fold(split: SplitSettings) -> None:
    """Raise UserError where `fold` is missing, where it or `outer` is not a fold of the protocol, or would train."""
    if split.fold_is is None:
        for name, number in (("fold", split.fold), ("outer", split.outer)):
            if number is not None:
                raise UserError(
                    f"split.{name}={number}: split.protocol={split.protocol} has no folds;"
                    " leave it out, or use block or run"
                )
    elif split.fold is None:
        raise UserError(f"split.protocol={split.protocol} needs split.fold, the part to validate on")
    elif split.fold_is == "fold" and split.fold > split.folds:
        raise UserError(f"split.fold={split.fold}: there are {split.folds} folds")
    elif split.fold_is == "fold" and split.outer is not None and split.outer > split.folds:
        raise UserError(f"split.outer={split.outer}: there are {split.folds} folds")
    elif split.outer == split.fold:
        raise UserError(f"split.outer={split.outer}: the outer fold cannot be split.fold too")
    if split.fold_is == "run" and split.training_runs:
        for name, number in (("fold", split.fold), ("outer", split.outer)):
            if number in split.training_runs:
                raise UserError(f"split.training_runs: run {number} is split.{name}, which does not train")


def refuse_alignment(settings: TrialSettings, subjects: int) -> None:
    """Raise UserError for a split or a unit that alignment of so many subjects cannot work with.

    A single subject is aligned with nobody, so any settings work.
    """
    where = f"align.method={settings.align.method}"
    if settings.align.method == "none" or subjects == 1:
        return
    if settings.split.fold_is is None:
        raise UserError(
            f"{where}: under split.protocol={settings.split.protocol} every moment is on both sides,"
            " and alignment would leak; use run or block"
        )
    if settings.data.normalisation == "none":
        raise UserError(
            f"{where}: with data.normalisation=none it would fit the anatomy; use zscore, zscore+detrend or psc"
        )


def refuse_control(settings: TrialSettings) -> None:
    """Raise UserError for what can only be done with volumes, where a control takes their place."""
    where = f"data.control={settings.data.control}"
    if settings.data.control is None:
        return
    if settings.align.method != "none":
        raise UserError(f"{where}: align.method={settings.align.method} aligns brains; use none")
    if settings.augment.shift_voxels:
        raise UserError(f"{where}: augment.shift_voxels shifts volumes; use 0")


def shared_coefficients(settings: TrialSettings) -> str | None:
    """Return a one-line warning where confounds are regressed out of runs that are on both sides of the split."""
    if not settings.data.confounds or settings.split.fold_is == "run":
        return None
    return (
        f"warning: data.confounds under split.protocol={settings.split.protocol}: training and validation share the"
        " coefficients of a run, and where confounds go with the labels, accuracies fall below chance; use run"
    )


def refuse_device(device: str, gpus: int) -> None:
    """Raise UserError where `train.device` asks for a GPU and this machine has none."""
    if device == "cuda" and gpus == 0:
        raise UserError("train.device=cuda: there is no GPU that PyTorch can use; choose auto or cpu")
