"""What an experiment declares to compare, and what it refuses."""

import pydantic
import pytest
import small_plan

from deepemotion import config_files
from deepemotion.errors import UserError
from launcher.launching.launch import Launch, plan_run
from launcher.planning import experiment
from launcher.planning.comparisons import declared
from launcher.planning.options import parse_comparisons
from launcher.run.directory import RunDirectory

MODELS = {"model.name": ["cnn3d", "linear"]}
RATES = {"train.learning_rate": [1e-3, 1e-4]}


def comparisons(compare, **sweeps):
    return declared(experiment.read(config_files.find("demo"), [], {"compare": compare, "sweep": {}}, sweeps))


def conditions(compare, **sweeps):
    (found,) = comparisons(compare, **sweeps)
    return found.conditions


@pytest.mark.parametrize("pair", [["cnn3d", "linear"], ["model.name-cnn3d", "model.name-linear"]])
def test_models_are_compared_at_each_learning_rate(pair):
    assert conditions([pair], **MODELS, **RATES) == (
        ("lr-0.001_model.name-cnn3d", "lr-0.001_model.name-linear"),
        ("lr-0.0001_model.name-cnn3d", "lr-0.0001_model.name-linear"),
    )


@pytest.mark.parametrize("pair", [["lr-0.001", "lr-0.0001"], [0.001, 0.0001], ["1e-3", "1e-4"], ["0.0010", "lr-1e-4"]])
def test_learning_rates_are_named_as_numbers_or_as_conditions_name_them(pair):
    assert conditions([pair], **RATES) == (("lr-0.001", "lr-0.0001"),)


def test_one_pair_needs_no_list_of_pairs():
    assert conditions(["linear", "cnn3d"], **MODELS) == (("lr-0.001_model.name-linear", "lr-0.001_model.name-cnn3d"),)


def test_two_conditions_may_differ_in_everything():
    pair = ("lr-0.001_model.name-cnn3d", "lr-0.0001_model.name-linear")
    assert conditions([list(pair)], **MODELS, **RATES) == (pair,)


def test_true_and_false_are_names():
    found = conditions([[True, False]], **{"data.crop": [True, False]})
    assert found == (("lr-0.001_data.crop-True", "lr-0.001_data.crop-False"),)


def test_seeds_belong_to_one_condition():
    assert len(conditions([["cnn3d", "linear"]], **MODELS, **{"train.seed": [0, 1, 2]})) == 1
    with pytest.raises(UserError, match="1: neither a swept value nor a condition"):
        comparisons([[1, 2]], **{"train.seed": [0, 1, 2]})


@pytest.mark.parametrize(
    ("compare", "message"),
    [
        (
            [["cnn3d", "resnet"]],
            "resnet: neither a swept value nor a condition .* it has model.name-cnn3d, model.name-linear, lr-0.001",
        ),
        ([["cnn3d", "cnn3d"]], "cnn3d is compared with itself"),
        ([["cnn3d", "0.001"]], "cnn3d is a model.name and 0.001 a train.learning_rate"),
        ([["lr-0.001_model.name-cnn3d", "linear"]], "model.name-cnn3d is a condition; name another condition"),
        ([["cnn3d", "linear"], ["linear", "cnn3d"]], "the same two conditions are compared twice"),
    ],
)
def test_names_that_cannot_be_compared_are_refused(compare, message):
    with pytest.raises(UserError, match=f"plan.compare: .*{message}"):
        comparisons(compare, **MODELS, **RATES)


def test_a_value_of_two_settings_must_say_which():
    with pytest.raises(UserError, match=r"2 is a value of several settings; write data.lag_s-2 or split.gap_s-2"):
        comparisons([[2, 4]], **{"data.lag_s": [2, 4], "split.gap_s": [2, 20]})


@pytest.mark.parametrize("compare", [["cnn3d"], [["cnn3d"]], [["a", "b", "c"]], "cnn3d", [[["a"], "b"]], [{"a": "b"}]])
def test_other_forms_are_one_line_that_names_the_key(compare):
    with pytest.raises(UserError, match=r"plan\.compare") as error:
        comparisons(compare, **MODELS)
    assert "\n" not in str(error.value)


def test_it_is_refused_before_anything_is_planned_and_leaves_trials_as_they_are():
    with pytest.raises(UserError, match="resnet: neither"):
        small_plan.plan("demo", sweeps=dict(MODELS), compare=[["cnn3d", "resnet"]])
    plain, comparing = (
        small_plan.plan("demo", sweeps=dict(MODELS), **more) for more in ({}, {"compare": [["cnn3d", "linear"]]})
    )
    assert [trial.name for trial in plain] == [trial.name for trial in comparing]


def test_the_option_takes_pairs():
    assert parse_comparisons([]) == {}
    assert parse_comparisons(["cnn3d, linear", "0,4"]) == {"compare": [["cnn3d", "linear"], ["0", "4"]]}
    for text in ("cnn3d", "a,b,c", "a,", ""):
        with pytest.raises(UserError, match=r"--compare .*: write two names"):
            parse_comparisons([text])


def test_what_is_stored_is_read_back():
    first = experiment.read(config_files.find("demo"), [], {"compare": [[0.001, 1e-4]]}, RATES)
    again = experiment.Experiment.model_validate(first.model_dump(mode="json"))
    assert again.plan.compare == first.plan.compare == [["0.001", "0.0001"]]
    with pytest.raises(pydantic.ValidationError):
        experiment.PlanSettings(compare=[["a"]])


def test_a_launch_names_the_comparisons_that_it_drops_or_cannot_declare(tiny_packed, tiny_labels, tmp_path, capsys):
    run = RunDirectory(tmp_path / "r")

    def said(rates, compare):
        plan, sweeps = {"pooled": False, "subjects": ["01"], "compare": compare}, {"train.learning_rate": rates}
        wanted = experiment.read(config_files.find("demo"), ["model.name=linear"], plan, sweeps)
        trials = plan_run(Launch.of(run, wanted, tiny_packed, tiny_labels))
        return trials, capsys.readouterr().err

    trials, message = said([0.1, 0.2], [["0.1", "0.2"]])
    assert "comparisons" not in message
    assert "comparisons 0.1,0.2: no longer declared, since this launch did not" in said([0.1, 0.2], [])[1]
    for trial in trials:
        run.trial(trial.name).path.mkdir(parents=True)
        run.trial(trial.name).result.touch()
    assert "comparisons 0.1,0.2: not declared, since that has to come before" in said([0.1, 0.2], [["0.1", "0.2"]])[1]
    assert "comparisons" not in said([0.1, 0.2], [])[1]
