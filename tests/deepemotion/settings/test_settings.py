"""The schema of a trial and its overrides."""

import pytest

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.settings.schema import make_trial, read_settings


def write(path, text):
    path.write_text(text)
    return path


def test_the_published_protocol_ships():
    settings = read_settings(config_files.find("paper"), [])
    assert (settings.data.timing, settings.data.lag_s, settings.data.normalisation) == ("cumulative", 0, "none")
    assert (settings.split.protocol, settings.split.seed, settings.split.validation_share) == ("random", 42, 0.2)
    assert (settings.train.epochs, settings.train.learning_rate) == (50, 1e-3)


def test_overrides_replace_single_values(tmp_path):
    config = write(tmp_path / "mine.yaml", "train: {epochs: 3}\nplan: {pooled: false}\n")
    settings = read_settings(config, ["train.learning_rate=1e-4", "data.lag_s=6", "train.batch_size=8"])
    assert (settings.train.epochs, settings.train.learning_rate, settings.train.batch_size) == (3, 1e-4, 8)
    assert settings.data.lag_s == 6


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", "--set train.epoch=3: no such key; did you mean epochs?"),
        ("train.epochs=zero", "--set train.epochs=zero: Input should be a valid integer"),
        ("train.epochs=0", "--set train.epochs=0: Input should be"),
        ("epochs=3", "write it as section.key=value"),
        ("train.epochs", "write it as section.key=value"),
        ("data.normalisation=max", "--set data.normalisation=max: Input should be"),
        ("plan.pooled=false", "--set plan.pooled=false: no such key; keys are data, split"),
        ("train.epochs=[1", "--set train.epochs: '[1': not a value"),
        ("data.lag_s=!!timestamp x", "--set data.lag_s: '!!timestamp x': not a value"),
        ("train.epochs=true", "--set train.epochs=true: must be a number, not true"),
        ("data.downsample=true", "must be a number, not true"),
        ("split.fold=false", "must be a number, not false"),
        ("data.lag_s=true", "must be a number, not true"),
        ("data.lag_s=2020-13-45", "--set data.lag_s=2020-13-45: Input should be a valid number"),
        ("train.learning_rate=1e300", "--set train.learning_rate=1e300: Input should be less than"),
        ("train.learning_rate=.nan", "--set train.learning_rate=.nan: Input should be a finite number"),
        ("train.learning_rate=-1e-3", "--set train.learning_rate=-1e-3: Input should be greater than 0"),
        ("train.batch_size=99999999999", "--set train.batch_size=99999999999: Input should be less than"),
        ("split.folds=1000000000", "--set split.folds=1000000000: Input should be less than"),
    ],
)
def test_bad_overrides_name_the_key(tmp_path, override, message):
    with pytest.raises(UserError) as error:
        read_settings(write(tmp_path / "mine.yaml", "train: {epochs: 3}\n"), [override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_subject_is_not_both_seen_and_unseen():
    settings = read_settings(config_files.find("demo"), [])
    assert make_trial(settings, ["02", "01"], ["03"]).subjects == ["01", "02"]
    with pytest.raises(UserError, match=r"^--subjects and --unseen: subject 02 is both"):
        make_trial(settings, ["01", "02"], ["02"])


@pytest.mark.parametrize(("text", "timing"), [("true", "true"), ("'true'", "true"), ("cumulative", "cumulative")])
def test_timing_is_true_with_and_without_quotes(text, timing):
    assert read_settings(config_files.find("paper"), [f"data.timing={text}"]).data.timing == timing


def test_timing_false_is_no_timing():
    with pytest.raises(UserError, match=r"data\.timing"):
        read_settings(config_files.find("paper"), ["data.timing=false"])
