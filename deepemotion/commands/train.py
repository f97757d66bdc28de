"""`deepemotion train`: one training without Ray."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepemotion.console import answer, say, say_how_to_resume

if TYPE_CHECKING:
    from deepemotion.settings.schema import Trial


def train(
    out: Annotated[Path, typer.Argument(help="Folder of the training; an interrupted one is resumed.")],
    data: Annotated[Path, typer.Option(help="Folder of packed subject files.")],
    labels: Annotated[Path, typer.Option(help="labels.tsv, as `deepemotion label` writes it.")],
    subjects: Annotated[str, typer.Option(help="Subjects to train on: 1,2,5-9.")],
    unseen: Annotated[str | None, typer.Option(help="Subjects that are only tested on: 1,2,5-9.")] = None,
    config: Annotated[
        str, typer.Option(help="A built-in configuration (paper, rigorous, demo), or the path of your own.")
    ] = "paper",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: section.key=value, e.g. train.epochs=10.")
    ] = None,
) -> None:
    """Train one model and predict every labelled volume; the same result as the same trial of an experiment."""
    from deepemotion import config_files
    from deepemotion.settings.schema import make_trial, read_settings
    from deepemotion.settings.subjects import parse_subjects
    from deepemotion.subject_file.folder import find_subjects
    from deepemotion.training.trial_directory import TrialDirectory

    settings = read_settings(config_files.find(config), set_ or [])
    packed = find_subjects(data)
    trial = make_trial(settings, parse_subjects(subjects, packed), parse_subjects(unseen, packed) if unseen else [])
    _refuse(trial, data, labels)
    from deepemotion.machine import available_memory
    from deepemotion.scoring import audit
    from deepemotion.training.epoch_line import epoch_line
    from deepemotion.training.loop import Metrics
    from deepemotion.training.loop import train as train_model

    def show(metrics: Metrics) -> None:
        say(epoch_line(metrics, trial.train.epochs))

    try:
        result = train_model(trial, data, labels, TrialDirectory(out), show, available_memory())
    except KeyboardInterrupt:
        say_how_to_resume()
        raise
    percent = {name: f"{100 * result[name]:.1f} %" for name in ("accuracy_validation", *audit.COLUMNS)}
    answer(
        f"validation accuracy {percent['accuracy_validation']} (labels alone {percent['label_only_accuracy']},"
        f" majority {percent['majority_accuracy']}, chance {percent['chance']}; n = {result['n_validation']})"
    )


def _refuse(trial: "Trial", data: Path, labels: Path) -> None:
    """Raise UserError for what would stop the training, before torch is imported, which takes seconds."""
    from deepemotion.labels.table import Labels
    from deepemotion.models.registry import entry
    from deepemotion.samples.agreement import require_agreement
    from deepemotion.samples.confounds import most_regressors
    from deepemotion.settings.rules import refuse_alignment, refuse_control, refuse_fold, shared_coefficients
    from deepemotion.subject_file.folder import open_subjects

    entry(trial.model)
    refuse_fold(trial.split)
    refuse_control(trial)
    subjects = (*trial.subjects, *trial.unseen_subjects)
    refuse_alignment(trial, len(subjects))
    own = Labels.read(labels)
    with open_subjects(data, subjects) as files:
        require_agreement(files.values(), own, labels)
        most_regressors(files.values(), trial.data)
    warning = shared_coefficients(trial)
    if warning is not None:
        say(warning)
