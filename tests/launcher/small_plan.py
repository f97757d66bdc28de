"""Plans of nineteen subjects of the demo's size, for the tests of planning and of resources."""

import dataclasses

from deepemotion import config_files
from launcher.planning import experiment
from launcher.planning.facts import DataFacts, SubjectFacts
from launcher.planning.plan import make_plan

SUBJECTS = [f"{i:02d}" for i in range(1, 21) if i != 10]


def facts(subjects=SUBJECTS, **changes):
    one = {
        subject: SubjectFacts(f"checksum-{subject}", (33, 44, 12), (24, 33, 12), 6000, 480, tuple(range(1, 9)))
        for subject in subjects
    }
    return dataclasses.replace(DataFacts(one, "labels", 0.4, 5), **changes)


def plan(config="paper", data=None, overrides=(), sweeps=None, **changes):
    wanted = experiment.read(config_files.find(config), list(overrides), changes, sweeps or {})
    return make_plan(wanted, data or facts())
