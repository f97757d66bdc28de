"""The experiment's schema: the sections of a trial, what is swept, and the resources of a trial."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, Field

from deepemotion import config_files
from deepemotion.config_files import Section
from deepemotion.errors import UserError, from_validation
from deepemotion.settings.overrides import apply_overrides, key_of
from deepemotion.settings.schema import ControlName, TrialSettings
from deepemotion.subject_label import SubjectLabel


def _name(value: object) -> object:
    """Return a name as text: YAML reads `0.001` as a number and `true` as a truth value."""
    return str(value) if isinstance(value, int | float) else value


def _pairs(value: object) -> object:
    """Return one pair, `[a, b]`, as a list of one pair."""
    if isinstance(value, list) and value and not any(isinstance(one, list | tuple) for one in value):
        return [value]
    return value


def _curves(value: object) -> object:
    """Return which learning curves `true` and `false` stand for."""
    return {True: ["runs", "subjects"], False: []}[value] if isinstance(value, bool) else value


_Name = Annotated[str, BeforeValidator(_name)]
_Pair = Annotated[list[_Name], Field(min_length=2, max_length=2)]


class PlanSettings(Section):
    """Which training sets there are, and the swept settings (`section.key: [values]`).

    `permutations` is how many trainings on permuted labels are added to each trial, for its permutation test. `select`
    says what the accuracy of a swept setting is for: `best` trains each value on the same folds, to choose by their
    validation; `nested` chooses values and epoch by inner folds, and tests the model trained with them.
    `learning_curve` adds trainings on 1, 2, 4, ... of the runs, of a pool's subjects, or (true) of both, and `draws` is
    how many choices of them.
    `compare` are pairs of conditions or swept values whose difference is tested: see `comparisons.declared`.
    """

    subjects: Literal["all"] | list[SubjectLabel] = "all"
    single_subject: bool = True
    pooled: bool = True
    held_out_folds: bool = False
    leave_one_subject_out: bool = False
    permutations: Annotated[int, Field(ge=0, le=100_000)] = 0
    sweep: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default={})
    select: Literal["best", "nested"] = "best"
    learning_curve: Annotated[list[Literal["runs", "subjects"]], BeforeValidator(_curves)] = Field(default=[])
    draws: Annotated[int, Field(ge=1, le=1000)] = 1
    compare: Annotated[list[_Pair], BeforeValidator(_pairs)] = Field(default=[])


class ResourceSettings(Section):
    """The resources of one trial. CPUs are `train.threads`; `auto` shares a GPU between trials that fit on it together.

    A trial trains on one GPU, or on a part of it.
    """

    gpus_per_trial: Literal["auto"] | Annotated[float, Field(ge=0, le=1)] = "auto"


class Experiment(TrialSettings):
    """An experiment: its YAML file with the changes of the command line applied.

    `controls` are those that the brain is compared with (`all`: those that the data has), each trained as a
    `control_model`.
    """

    description: str = ""
    plan: PlanSettings = PlanSettings()
    resources: ResourceSettings = ResourceSettings()
    controls: Literal["all"] | list[ControlName] = Field(default=[])
    control_model: Literal["linear", "mlp"] = "linear"

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


def read(
    config: Path,
    overrides: list[str],
    plan_changes: dict[str, Any],
    sweeps: dict[str, list[Any]],
    controls: Literal["all"] | list[ControlName] | None = None,
) -> Experiment:
    """Read an experiment's YAML, apply `--set` overrides, changes of its plan, further sweeps, and other controls.

    Raises UserError naming the file and key, also for an override that something else overrides in turn.
    """
    content = apply_overrides(config_files.read_yaml(config), overrides, config)
    plan = {**_mapping(content, "plan", config), **plan_changes}
    plan["sweep"] = {**_mapping(plan, "sweep", config), **sweeps}
    for override in overrides:
        _require_effect(override, plan_changes, plan["sweep"])
    if controls is not None:
        content["controls"] = controls
    try:
        return Experiment.model_validate({**content, "plan": plan})
    except pydantic.ValidationError as error:
        raise from_validation(error, config, Experiment, overrides) from error


def _require_effect(override: str, plan_changes: Collection[str], sweep: Collection[str]) -> None:
    key = key_of(override)
    if key in sweep:
        raise UserError(
            f"--set {override}: would do nothing, since {key} is swept; name the values with --sweep {key}="
        )
    if key.startswith("plan.") and key.removeprefix("plan.") in plan_changes:
        raise UserError(f"--set {override}: would do nothing, since another option decides {key}; give one of the two")


def _mapping(content: dict[str, Any], key: str, config: Path) -> dict[str, Any]:
    mapping = content.get(key) or {}
    if not isinstance(mapping, dict):
        raise UserError(f"{config}: {key}: not `key: value` lines but {mapping!r}")
    return mapping
