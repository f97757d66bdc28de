"""The experiment's schema: a trial's sections, what to multiply them by, and what a trial may use."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from deepemotion import config_files
from deepemotion.errors import UserError, from_validation
from deepemotion.settings.overrides import apply_overrides, parse_value
from deepemotion.settings.schema import Section, TrialSettings
from deepemotion.settings.subjects import parse_subjects


class PlanSettings(Section):
    """Which training sets there are, and the swept settings (`section.key: [values]`).

    `permutations` adds as many trainings on permuted labels to each trial, for its permutation test.
    """

    subjects: Literal["all"] | list[str] = "all"
    single_subject: bool = True
    pooled: bool = True
    held_out_folds: bool = False
    leave_one_subject_out: bool = False
    permutations: Annotated[int, Field(ge=0)] = 0
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default={})


class ResourceSettings(Section):
    """What one trial gets. CPUs are `train.threads`; `auto` shares a GPU between trials that fit on it together.

    A trial trains on one GPU, or on a part of it.
    """

    gpus_per_trial: Literal["auto"] | Annotated[float, Field(ge=0, le=1)] = "auto"


class Experiment(TrialSettings):
    """An experiment as its YAML says it, with the command line's changes applied."""

    description: str = ""
    plan: PlanSettings = PlanSettings()
    resources: ResourceSettings = ResourceSettings()

    def trial_settings(self, values: dict[str, Any]) -> TrialSettings:
        """Return the trial's sections with `section.key: value` replaced. Raises UserError naming an unknown key."""
        sections = self.model_dump(include=set(TrialSettings.model_fields))
        for key, value in values.items():
            section, _, name = key.partition(".")
            if section not in sections or name not in sections[section]:
                known = ", ".join(f"{part}.{field}" for part, fields in sections.items() for field in fields)
                raise UserError(f"{key}: no such setting to sweep; there are {known}")
            sections[section][name] = value
        try:
            return TrialSettings.model_validate(sections)
        except pydantic.ValidationError as error:
            swept = ", ".join(f"{key}={value}" for key, value in values.items())
            raise from_validation(error, f"sweep ({swept})", TrialSettings) from error


def read(config: Path, overrides: list[str], plan_changes: dict[str, Any], sweeps: dict[str, list[Any]]) -> Experiment:
    """Read an experiment's YAML, apply `--set` overrides, changes of its plan, and further sweeps.

    Raises UserError naming the file and key.
    """
    content = apply_overrides(config_files.read_yaml(config), overrides, config)
    plan = {**_mapping(content, "plan", config), **plan_changes}
    plan["sweep"] = {**_mapping(plan, "sweep", config), **sweeps}
    try:
        return Experiment.model_validate({**content, "plan": plan})
    except pydantic.ValidationError as error:
        raise from_validation(error, config, Experiment, overrides) from error


def _mapping(content: dict[str, Any], key: str, config: Path) -> dict[str, Any]:
    found = content.get(key) or {}
    if not isinstance(found, dict):
        raise UserError(f"{config}: {key}: not `key: value` lines but {found!r}")
    return found


def parse_sweeps(texts: list[str], model: str | None, lr: str | None) -> dict[str, list[Any]]:
    """Return the values to sweep by `--sweep`, `--model` and `--lr`. Raises UserError for a key named twice."""
    parsed = [(f"--sweep {text}", *_parse_sweep(text)) for text in texts]
    if model is not None:
        parsed.append((f"--model {model}", "model.name", model.split(",")))
    if lr is not None:
        parsed.append((f"--lr {lr}", "train.learning_rate", _parse_learning_rates(lr)))
    sweeps: dict[str, list[Any]] = {}
    for option, key, values in parsed:
        if key in sweeps:
            raise UserError(f"{option}: {key} is swept twice; give all its values at once")
        sweeps[key] = values
    return sweeps


def _parse_sweep(text: str) -> tuple[str, list[Any]]:
    """Parse `section.key=a,b,c`. Raises UserError for another form or a value given twice."""
    key, equals, values = text.partition("=")
    parsed = [parse_value(value) for value in values.split(",")] if values else []
    if not equals or "." not in key or not parsed:
        raise UserError(f"--sweep {text}: write it as section.key=a,b,c, for instance data.lag_s=0,2,4")
    if len({repr(value) for value in parsed}) != len(parsed):
        raise UserError(f"--sweep {text}: a value is given twice")
    return key, parsed


def _parse_learning_rates(text: str) -> list[float]:
    """Parse `1e-4,3e-4`. Raises UserError for anything that is not a list of numbers."""
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise UserError(f"--lr {text}: write numbers, for instance 1e-4,3e-4,1e-3") from None


def plan_of_protocol(protocol: str, held_out_folds: bool) -> dict[str, Any]:
    """Return the plan's change for `--protocol`: those with `subject` train held-out sets instead of the usual ones.

    They leave one subject out at a time, unless the paper's four folds are asked for.
    """
    if "subject" not in protocol:
        return {}
    return {"single_subject": False, "pooled": False, "leave_one_subject_out": not held_out_folds}


def split_of_protocol(protocol: str) -> str:
    """Return `split.protocol` for `--protocol`: subjects are held out together with moments of the movie."""
    return {"subject": "block", "run-subject": "run"}.get(protocol, protocol)


def parse_plan_subjects(text: str | None) -> dict[str, Any]:
    """Return the plan's change for `--subjects`; none for no option."""
    return {} if text is None else {"subjects": parse_subjects(text)}
