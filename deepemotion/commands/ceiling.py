"""`deepemotion ceiling`: how well other brains predict a brain."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepemotion.console import answer, say, table

if TYPE_CHECKING:
    from deepemotion.scoring.between_brains import BetweenBrains


def ceiling(
    data: Annotated[Path, typer.Argument(help="Folder of packed subject files.")],
    subjects: Annotated[str | None, typer.Option(help="Compare only these subjects: 1,2,5-9.")] = None,
    config: Annotated[
        str, typer.Option(help="A built-in configuration (paper, rigorous, demo), or the path of your own.")
    ] = "rigorous",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Override a setting: section.key=value, e.g. align.features=20.")
    ] = None,
    out: Annotated[Path, typer.Option(help="File for the values of each subject and run.")] = Path(
        "between_brains.tsv"
    ),
) -> None:
    """Show how well each brain is predicted by the others, in runs that their alignment has not seen."""
    from deepemotion import config_files
    from deepemotion.settings.schema import read_settings
    from deepemotion.settings.subjects import parse_subjects
    from deepemotion.subject_file.folder import find_subjects, open_subjects

    settings = read_settings(config_files.find(config), set_ or [])
    if settings.align.method == "none":
        settings = settings.model_copy(update={"align": settings.align.model_copy(update={"method": "srm"})})
    packed = find_subjects(data)
    chosen = parse_subjects(subjects, packed) if subjects else list(packed)
    from deepemotion.alignment.held_out_runs import held_out_runs
    from deepemotion.scoring.between_brains import BetweenBrains
    from deepemotion.training.device import choose_device

    with open_subjects(data, chosen) as files:
        parts = held_out_runs(files, settings, choose_device(settings.train), say)
        alignment = f"{settings.align.method}, {settings.align.features} features"
        values = ((part.run, part.features_SKT.numpy(), part.power_S.numpy()) for part in parts)
        found = BetweenBrains.of(alignment, chosen, values)
    found.write(out)
    answer(_by_subject(found))
    answer(found.in_words())
    say(f"{out}: the values of each subject and run")


def _by_subject(found: "BetweenBrains") -> str:
    means = found.values.mean(axis=0).T
    rows = [("subject", "r with the others", "shared", "in the space")]
    for subject, (with_mean, shared, in_space) in zip(found.subjects, means, strict=True):
        rows.append((f"sub-{subject}", f"{with_mean:.3f}", f"{100 * shared:.1f} %", f"{100 * in_space:.1f} %"))
    return table(rows)
