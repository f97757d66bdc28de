"""`deepemotion evaluate`: a finished model on subjects that its training never had."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepemotion.console import answer, table

if TYPE_CHECKING:
    from deepemotion.trained.further_subjects import SubjectScore


def evaluate(
    trial: Annotated[Path, typer.Argument(help="Folder of a finished training.")],
    data: Annotated[Path, typer.Option(help="Folder of packed subject files, including those trained on.")],
    labels: Annotated[Path, typer.Option(help="A labels.tsv with the classes that the model was trained on.")],
    subjects: Annotated[str, typer.Option(help="Subjects to test on: 1,2,5-9.")],
    out: Annotated[Path | None, typer.Option(help="A .parquet file to write the predictions to.")] = None,
) -> None:
    """Test a finished model on further subjects, at the moments of the movie that it was not trained on."""
    from deepemotion.labels.table import Labels
    from deepemotion.samples.agreement import require_agreement
    from deepemotion.settings.subjects import parse_subjects
    from deepemotion.subject_file.folder import find_subjects, open_subjects
    from deepemotion.training.trial_directory import TrialDirectory

    directory = TrialDirectory(trial)
    directory.require_finished()
    own = Labels.read(labels)
    wanted = parse_subjects(subjects, find_subjects(data))
    with open_subjects(data, wanted) as files:
        require_agreement(files.values(), own, labels)
    from deepemotion.scoring import predictions
    from deepemotion.trained import further_subjects

    scores, predicted = further_subjects.evaluate(directory, data, labels, wanted)
    if out is not None:
        predictions.write(out, predicted)
    answer(_table(scores))


def _table(scores: "list[SubjectScore]") -> str:
    head = ("subject", "volumes", "accuracy", "95 %", "balanced", "macro F1", "labels alone", "majority", "chance")
    rows: list[tuple[str, ...]] = [head]
    for one in scores:
        accuracy, low, high, balanced, f1 = (
            f"{100 * one.scores[name]:.1f}"
            for name in (
                "accuracy_unseen",
                "accuracy_unseen_low",
                "accuracy_unseen_high",
                "balanced_accuracy_unseen",
                "macro_f1_unseen",
            )
        )
        audit = (f"{100 * value:.1f}" for value in one.audit.scores)
        mark = "" if one.beats_labels else " †"
        rows.append((f"sub-{one.subject}", str(one.volumes), accuracy + mark, f"{low}-{high}", balanced, f1, *audit))
    return table(rows)
