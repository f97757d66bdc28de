"""Plans of nineteen subjects of the demo's size, and single planned trials, for the launcher's tests."""

import dataclasses

from deepemotion import config_files
from deepemotion.settings.schema import Trial
from launcher.planning import experiment
from launcher.planning.facts import DataFacts, SubjectFacts
from launcher.planning.plan import PlannedTrial, make_plan

SUBJECTS = [f"{i:02d}" for i in range(1, 21) if i != 10]


def facts(subjects=SUBJECTS, **changes):
    one = {
        subject: SubjectFacts(f"checksum-{subject}", (33, 44, 12), (24, 33, 12), 6000, 480, tuple(range(1, 9)))
        for subject in subjects
    }
    return dataclasses.replace(DataFacts(one, "labels", 0.4, 5), **changes)


def plan(config="paper", data=None, overrides=(), sweeps=None, controls=(), **changes):
    """Return the planned trials, those of the brain alone unless `controls` are named, or are "all"."""
    named = controls if isinstance(controls, str) else list(controls)
    wanted = experiment.read(config_files.find(config), list(overrides), changes, sweeps or {}, named)
    return make_plan(wanted, data or facts())


def planned(name, training_set="sub-01", condition="lr-0.001", protocol="run", memory_bytes=1, work=1.0, **settings):
    """Return a planned trial of some names whose settings are the defaults but for these sections and subjects."""
    trial = Trial.model_validate({"subjects": ["01"]} | settings)
    return PlannedTrial(name, training_set, condition, protocol, memory_bytes, work, trial)
