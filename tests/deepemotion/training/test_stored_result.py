"""What a finished training has stored: it is read as it was written, or named as damaged."""

import json
import random
import shutil

import pytest
from small_training import finish, trial

from deepemotion.errors import UserError
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

WANTED = trial("train.epochs=3", "model.name=linear")


@pytest.fixture(scope="module")
def finished(tiny_packed, tiny_labels, tmp_path_factory):
    """Return the folder of a finished training."""
    folder = tmp_path_factory.mktemp("finished") / "trial"
    train(WANTED, tiny_packed, tiny_labels, TrialDirectory(folder), lambda metrics: None)
    return folder


@pytest.fixture
def directory(finished, tmp_path):
    """Return a copy of the finished training."""
    shutil.copytree(finished, tmp_path / "trial")
    return TrialDirectory(tmp_path / "trial")


def without_checksums(directory):
    """Make a result one of an earlier version."""
    result = json.loads(directory.result.read_text())
    del result["checksum"], result["sha256"]
    directory.result.write_text(json.dumps(result))


def everything(directory):
    result = directory.require_finished().result
    return result, directory.read_epochs(), directory.read_predictions().to_csv()


def outcome(directory):
    """Return the message of the error, or what was read."""
    try:
        return "", everything(directory)
    except UserError as error:
        return str(error), None


def scores(result):
    return {name: value for name, value in result.items() if isinstance(value, int | float | list)}


@pytest.mark.parametrize("name", ["result.json", "predictions.parquet", "epochs.tsv"])
def test_a_flipped_bit_is_named_or_changes_nothing(directory, name):
    whole, content = everything(directory), (directory.path / name).read_bytes()
    positions = random.Random(0).sample(range(len(content)), 60)
    for position in positions:
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        (directory.path / name).write_bytes(damaged)
        message, read = outcome(directory)
        if message:
            assert str(directory.path / name) in message
            assert "\n" not in message
        else:
            # Only white space, or a letter in the name of the field with the checksum.
            assert name == "result.json"
            assert (scores(read[0]), read[1:]) == (scores(whole[0]), whole[1:])
    (directory.path / name).write_bytes(content)
    assert everything(directory) == whole


def test_a_page_of_predictions_has_its_own_checksum(directory):
    without_checksums(directory)
    content = bytearray(directory.predictions.read_bytes())
    # The first page of data follows the file's four letters and the page's header.
    content[60] ^= 1
    directory.predictions.write_bytes(content)
    with pytest.raises(
        UserError, match=r"predictions\.parquet: cannot be read .*; delete it and result\.json beside it"
    ):
        directory.read_predictions()


def _changed(**changes):
    def change(directory):
        result = {**json.loads(directory.result.read_text()), **changes}
        directory.result.write_text(json.dumps({key: value for key, value in result.items() if value is not None}))

    return change


def _rows(change):
    return lambda directory: directory.epochs.write_text("".join(change(directory.epochs.read_text().splitlines(True))))


DAMAGE = [
    (
        lambda directory: directory.result.write_text("{}"),
        r"result\.json: .*no accuracy_train.*delete it and launch again",
    ),
    (_changed(accuracy_validation=7.0), r"result\.json: .*(accuracy_validation is 7|checksum)"),
    (_changed(accuracy_validation=None), r"result\.json: .*(no accuracy_validation|checksum)"),
    (_changed(epochs=2.5), r"result\.json: .*(epochs is 2\.5|checksum)"),
    (_changed(chance="high"), r"result\.json: .*(chance is no number|checksum)"),
    (_changed(classes=None), r"result\.json: .*(no classes|checksum)"),
    (lambda directory: directory.epochs.unlink(), r"epochs\.tsv: .*missing.*delete it and result\.json beside it"),
    (lambda directory: directory.predictions.unlink(), r"predictions\.parquet: .*missing.*delete it and result\.json"),
    (_rows(lambda rows: [*rows, rows[-1]]), r"epochs\.tsv: .*(4 epochs where result\.json has 3|checksum)"),
    (_rows(lambda rows: [*rows[:2], rows[1], rows[3]]), r"epochs\.tsv: .*(row 2 is not epoch 2|checksum)"),
    (_rows(lambda rows: rows[:-1]), r"epochs\.tsv: .*(2 epochs where result\.json has 3|checksum)"),
    (_rows(lambda rows: ["a\tb\n", "1\t2\n"]), r"epochs\.tsv: .*(1 epochs where result\.json has 3|checksum)"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGE)
@pytest.mark.parametrize("earlier_version", [False, True])
def test_damage_is_named_and_such_a_trial_is_never_done(
    directory, tiny_packed, tiny_labels, damage, message, earlier_version
):
    if earlier_version:
        without_checksums(directory)
        assert directory.require_finished().result["epochs"] == 3
    damage(directory)
    with pytest.raises(UserError, match=message) as error:
        directory.require_finished()
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=message):
        train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: None)


def test_the_remedy_works_and_trains_nothing_again(directory, tiny_packed, tiny_labels):
    whole = everything(directory)
    for path in (directory.epochs, directory.result):
        path.unlink()
    train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: pytest.fail("trained"))
    assert everything(directory)[1:] == whole[1:]


@pytest.mark.parametrize(
    "content",
    [
        *("{}", "[]", "null", '{"trial": {}, "data": {}}', '{"trial": [], "data": 1}', "{"),
        '{"trial": {"data": [1], "split": 3, "model": 4}, "data": {}}',
    ],
)
def test_damaged_settings_are_one_line(directory, tiny_packed, tiny_labels, content):
    directory.settings.write_text(content)
    for read in (
        directory.require_finished,
        lambda: train(WANTED, tiny_packed, tiny_labels, directory, lambda metrics: None),
    ):
        with pytest.raises(UserError, match=r"trial\.json: cannot be read .*; delete") as error:
            read()
        assert "\n" not in str(error.value)


def test_a_result_for_fewer_epochs_than_the_settings_have_is_not_done(tmp_path):
    directory = TrialDirectory(tmp_path)
    directory.claim(trial("train.epochs=9"), {})
    finish(directory)
    with pytest.raises(UserError, match=r"result\.json: cannot be read \(6 epochs where trial\.json has 9\)"):
        directory.require_finished()
