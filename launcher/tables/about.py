"""The text that TensorBoard shows of a run: what it is, how far it is, and where to look."""

from collections.abc import Sequence

from launcher.planning.plan import PlannedTrial
from launcher.run.directory import RunDirectory
from launcher.tables.selection import Trials


def text(run: RunDirectory, plan: Sequence[PlannedTrial], trials: Trials, rows_left_out: int) -> str:
    """Return the text in Markdown; `rows_left_out` is how many rows the page HParams has no room for."""
    states = ", ".join(f"{number} {state}" for state, number in trials.states.items())
    subjects = len({subject for trial in plan for subject in trial.subjects})
    controls = sorted({trial.control for trial in plan if trial.control})
    counts = [
        ("trials", f"{len(plan)} ({states})"),
        ("training sets", str(len({trial.training_set for trial in plan}))),
        ("subjects", str(subjects)),
        ("conditions", ", ".join(sorted({trial.condition for trial in plan if not trial.control}))),
        ("protocols", ", ".join(sorted({trial.protocol for trial in plan}))),
        ("permutations of the labels", str(len({trial.permutation for trial in plan} - {0}))),
        ("controls", ", ".join(controls) or "none"),
    ]
    table = "\n".join(f"| {name} | {value} |" for name, value in counts)
    left_out = f" {rows_left_out} less accurate ones had no room there." if rows_left_out else ""
    return f"""# {run.path.name}

A run of DeepEmotion, which decodes emotions from 7T fMRI: accuracies are shares of volumes whose emotion is right.

|  |  |
| --- | --- |
{table}

**Custom Scalars** is figure 3 of each condition, never smoothed: mean accuracy over epochs of the single-subject models
(training and validation, with 1 SD between models to both sides), the pooled model, and as horizontal lines chance,
what the labels alone score and the best control without a brain.

**Time Series** has the same lines. It draws them smoothed until *Smoothing* is set to 0. Below are the trials, by
training set: type a part of a name, such as `sub-01`, into *Filter tags*.

**HParams** has a row for each setting that was swept and kind of model.{left_out} For a row per trial:
`deepemotion-launch tensorboard RUN --trials ''`.

**Images** has the figures, once `deepemotion-launch report RUN` has drawn them.
"""
