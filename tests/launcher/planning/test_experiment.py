"""The experiment's schema and what the command line adds to it."""

import pytest

from deepemotion import config_files
from deepemotion.errors import UserError
from launcher.planning.experiment import read
from launcher.planning.options import parse_sweeps, with_protocol
from launcher.planning.protocols import Protocol


@pytest.mark.parametrize("name", ["paper", "rigorous", "demo"])
def test_configurations_that_ship_are_valid(name):
    assert read(config_files.find(name), [], {}, {}).plan.pooled


def test_rigorous_leaks_nothing():
    settings = read(config_files.find("rigorous"), [], {}, {})
    assert settings.data.drop_overlaps
    assert settings.data.timing == "true"
    assert settings.data.lag_s == 4
    assert settings.split.protocol == "run"


def test_the_command_line_changes_the_plan(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("plan: {sweep: {data.lag_s: [0, 4]}, pooled: true}\n")
    wanted = read(path, ["resources.gpus_per_trial=0.5"], {"pooled": False}, {"train.learning_rate": [1e-4]})
    assert wanted.plan.sweep == {"data.lag_s": [0, 4], "train.learning_rate": [1e-4]}
    assert not wanted.plan.pooled
    assert wanted.resources.gpus_per_trial == 0.5


def test_unknown_keys_are_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("train: {epochs: 3}\nplan: {poled: false}\n")
    with pytest.raises(UserError, match=r"mine.yaml: plan.poled: no such key; did you mean pooled\?$"):
        read(path, [], {}, {})


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=2", "--set train.epoch=2: no such key; did you mean epochs?"),
        ("trian.epochs=2", "--set trian.epochs=2: no such key; did you mean train?"),
        ("align.zzz=2", "--set align.zzz=2: no such key; keys are method, features"),
        ("plan.subjects=[1]", "--set plan.subjects=[1]: 1 is a number: put the subject's label in quotes"),
        ("plan.subjects=1", "--set plan.subjects=1: Input should be 'all' or a list"),
        ("resources.gpus_per_trial=2", "--set resources.gpus_per_trial=2: Input should be less than or equal to 1"),
        ("resources.gpus_per_trial=-1", "--set resources.gpus_per_trial=-1: Input should be"),
    ],
)
def test_an_override_is_blamed_for_what_it_sets(tmp_path, override, message):
    path = tmp_path / "mine.yaml"
    path.write_text("train: {epochs: 3}\n")
    with pytest.raises(UserError) as error:
        read(path, ["data.lag_s=2", override], {}, {})
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("override", "changes", "sweeps", "message"),
    [
        ("data.lag_s=2", {}, {}, "since data.lag_s is swept; name the values with --sweep data.lag_s="),
        ("train.learning_rate=1", {}, {"train.learning_rate": [1e-3]}, "since train.learning_rate is swept"),
        ("plan.permutations=5", {"permutations": 2}, {}, "since another option decides plan.permutations"),
    ],
)
def test_an_override_that_would_do_nothing_is_refused(tmp_path, override, changes, sweeps, message):
    path = tmp_path / "mine.yaml"
    path.write_text("plan: {sweep: {data.lag_s: [0, 4]}}\n")
    with pytest.raises(UserError, match=f"--set {override}: would do nothing, {message}"):
        read(path, [override], changes, sweeps)
    assert read(path, ["plan.permutations=5"], {}, {}).plan.permutations == 5


def test_a_protocol_is_named_once():
    assert with_protocol(["train.epochs=1"], Protocol("block")) == ["train.epochs=1", "split.protocol=block"]
    with pytest.raises(UserError, match=r"--set split\.protocol=run: --protocol decides it"):
        with_protocol(["split.protocol=run"], Protocol("block"))


def test_sweeps_and_learning_rates_are_parsed():
    assert parse_sweeps(["data.lag_s=0,2,4", "data.normalisation=psc,zscore"], "linear,c3d", "1e-4,3e-4") == {
        "data.lag_s": [0, 2, 4],
        "data.normalisation": ["psc", "zscore"],
        "model.name": ["linear", "c3d"],
        "train.learning_rate": [1e-4, 3e-4],
    }
    for wrong in ("lag_s=0", "data.lag_s", "data.lag_s=", "data.lag_s=1,1"):
        with pytest.raises(UserError, match="--sweep"):
            parse_sweeps([wrong], None, None)
    for wrong in ("fast", "1_0"):
        with pytest.raises(UserError, match="--lr"):
            parse_sweeps([], None, wrong)


@pytest.mark.parametrize(
    ("texts", "model", "lr"),
    [
        (["data.lag_s=0,2", "data.lag_s=4"], None, None),
        (["model.name=cnn3d"], "linear", None),
        (["train.learning_rate=1e-4"], None, "1e-3"),
    ],
)
def test_values_for_one_key_in_two_places_are_refused(texts, model, lr):
    with pytest.raises(UserError, match="is swept twice; give all its values at once"):
        parse_sweeps(texts, model, lr)


@pytest.mark.parametrize("text", ["plan: all\n", "plan: {sweep: [data.lag_s]}\n"])
def test_a_plan_that_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"mine\.yaml: (plan|sweep): not `key: value` lines"):
        read(path, [], {}, {})


@pytest.mark.parametrize(
    "override", ["resources.gpus_per_trial=2", "split.gap_s=.inf", "train.learning_rate=.nan", "data.lag_s=.inf"]
)
def test_numbers_that_no_trial_can_have_are_refused(tmp_path, override):
    path = tmp_path / "mine.yaml"
    path.write_text("{}\n")
    with pytest.raises(UserError, match=override.partition("=")[0]):
        read(path, [override], {}, {})
