"""The training sets of an experiment: which subjects each model is trained on, and which it never sees."""

from collections.abc import Sequence

from deepemotion.errors import UserError
from launcher.planning.experiment import Experiment

# The columns of the paper's figure 6 that each fold leaves out, numbered from 1 in the order of the subjects.
PAPER_FOLDS = ((1, 4), (5, 10), (11, 15), (16, 19))
# The beginnings of training sets' names: one subject's own model, the model of all subjects, models of all but one
# subject, and models of all but a fold of subjects.
SINGLE, POOLED, LEFT_OUT, HELD_OUT_FOLD = "sub-", "pooled", "without-", "held-out-"
# Its name, the subjects trained on, and the unseen ones.
TrainingSet = tuple[str, tuple[str, ...], tuple[str, ...]]


def training_sets(experiment: Experiment, packed: Sequence[str]) -> list[TrainingSet]:
    """Return (name, subjects trained on, unseen subjects) of each training set."""
    wanted = experiment.plan.subjects
    missing = [] if wanted == "all" else [subject for subject in wanted if subject not in packed]
    if missing:
        raise UserError(f"subject {missing[0]}: not packed; the packed ones are {', '.join(packed)}")
    subjects = tuple(packed if wanted == "all" else sorted(wanted))
    sets: list[TrainingSet] = []
    if experiment.plan.single_subject:
        sets += [(f"{SINGLE}{subject}", (subject,), ()) for subject in subjects]
    if experiment.plan.pooled and len(subjects) > 1:
        sets.append((POOLED, subjects, ()))
    if experiment.plan.held_out_folds:
        if len(subjects) < PAPER_FOLDS[-1][0]:
            raise UserError(f"held-out folds need at least {PAPER_FOLDS[-1][0]} subjects; there are {len(subjects)}")
        for first, last in PAPER_FOLDS:
            unseen = subjects[first - 1 : last]
            seen = tuple(subject for subject in subjects if subject not in unseen)
            sets.append((f"{HELD_OUT_FOLD}{first}-{last}", seen, unseen))
    if experiment.plan.leave_one_subject_out:
        if len(subjects) < 2:
            raise UserError("leaving a subject out needs at least 2 subjects")
        sets += [(f"{LEFT_OUT}{one}", tuple(s for s in subjects if s != one), (one,)) for one in subjects]
    return sets
