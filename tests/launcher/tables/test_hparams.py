"""Which settings and scores TensorBoard's page HParams has, from runs whose results are made up."""

import json

import pytest
from finished_run import EPOCHS, finish, make
from small_plan import planned
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from tensorboard.plugins.hparams import metadata

from deepemotion.errors import UserError
from launcher.run.directory import RunDirectory
from launcher.tables.tensorboard import write_aggregates
from launcher.tables.trial_folders import TrialFolders, chosen


def trial(subject, rate, training_set=None, seed=0):
    name = training_set or f"sub-{subject}"
    train = {"epochs": EPOCHS, "learning_rate": rate, "seed": seed}
    return planned(f"{name}_lr-{rate}_{seed}", name, f"lr-{rate}", "random", subjects=[subject], train=train)


def page(folder):
    """Return the columns of the page, and each row's settings and scores by its folder."""
    found = EventMultiplexer().AddRunsFromDirectory(str(folder))
    found.Reload()
    columns, rows = None, {}
    for name in found.Runs():
        contents = found.GetAccumulator(name).PluginTagToContent(metadata.PLUGIN_NAME) if _has(found, name) else {}
        if metadata.EXPERIMENT_TAG in contents:
            columns = metadata.parse_experiment_plugin_data(contents[metadata.EXPERIMENT_TAG])
        if metadata.SESSION_START_INFO_TAG in contents:
            start = metadata.parse_session_start_info_plugin_data(contents[metadata.SESSION_START_INFO_TAG])
            settings = {key: value.string_value or value.number_value for key, value in start.hparams.items()}
            tags = [tag for tag in found.Runs()[name]["scalars"] if tag.startswith("table/")]
            scores = {tag.removeprefix("table/"): found.Scalars(name, tag)[-1].value for tag in tags}
            rows[name] = (settings, scores)
    return columns, rows


def _has(found, name):
    try:
        return found.GetAccumulator(name).PluginTagToContent(metadata.PLUGIN_NAME)
    except KeyError:
        return False


def test_only_what_was_swept_is_a_column_and_each_setting_is_a_row(tmp_path):
    trials = [trial(s, rate, seed=seed) for s in ("01", "02") for rate in (0.1, 0.01) for seed in (0, 1)]
    run = make(tmp_path / "run", trials)
    finish(run, trials[0], accuracy_validation=0.9, balanced_accuracy_validation=0.8)
    write_aggregates(run)
    columns, rows = page(run.tensorboard)
    assert [column.name for column in columns.hparam_infos] == ["train.learning_rate"]
    assert [column.display_name for column in columns.metric_infos] == ["accuracy", "balanced accuracy", "labels alone"]
    assert set(rows) == {"settings/lr-0.1-single-subject", "settings/lr-0.01-single-subject"}
    settings, scores = rows["settings/lr-0.1-single-subject"]
    assert settings == {"train.learning_rate": 0.1}
    assert scores["accuracy"] == pytest.approx((0.9 + 3 * 0.5) / 4)


def test_models_of_different_kinds_have_rows_of_their_own(tmp_path):
    run = make(tmp_path / "run", [trial("01", 0.1), trial("01", 0.1, "pooled")])
    write_aggregates(run)
    _, rows = page(run.tensorboard)
    assert sorted(settings["model"] for settings, _ in rows.values()) == ["pooled", "single-subject"]


def test_scores_that_were_tested_stay_until_other_trials_are_done(tmp_path):
    trials = [trial("01", 0.1), trial("01", 0.01)]
    run = make(tmp_path / "run", trials[:1])
    write_aggregates(run, {("single-subject", "lr-0.1", trials[0].setup): {"p": 0.05, "best control": 0.3}})
    write_aggregates(run)
    ((_, scores),) = page(run.tensorboard)[1].values()
    assert scores["p"] == pytest.approx(0.05)
    run.add_to_plan(trials[1:])
    finish(run, trials[1])
    write_aggregates(run)
    assert not any("p" in scores for _, scores in page(run.tensorboard)[1].values())


def test_a_page_of_many_settings_leaves_room_for_all_runs_to_be_ticked(tmp_path):
    run = make(tmp_path / "run", [trial("01", rate / 1000) for rate in range(1, 50)])
    finish(run, trial("01", 0.03), accuracy_validation=0.9)
    write_aggregates(run)
    found = EventMultiplexer().AddRunsFromDirectory(str(run.path))
    found.Reload()
    assert len(found.Runs()) <= 40
    assert "settings/lr-0.03-single-subject" in page(run.tensorboard)[1]


def test_each_chosen_trial_is_a_row_once_also_after_a_resume(tmp_path):
    trials = [trial(subject, rate) for subject in ("01", "02") for rate in (0.1, 0.01)]
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    run.add_to_plan(trials)
    logdir = tmp_path / "logs"
    logdir.mkdir()
    folders = TrialFolders(run, chosen(run, "sub-01"), logdir)
    for epochs in (1, 2, EPOCHS):
        for one in trials[:2]:
            row = {"accuracy/train": 1.0, "accuracy/validation": 0.5, "loss/train": 1.0}
            run.trial(one.name).write_epochs([{"epoch": epoch, **row} for epoch in range(1, epochs + 1)])
        folders.update()
    finish(run, trials[0])
    folders.update()
    folders.update()
    columns, rows = page(logdir)
    assert [column.name for column in columns.hparam_infos] == ["train.learning_rate"]
    assert list(rows) == [trials[0].name]
    found = EventMultiplexer().AddRunsFromDirectory(str(logdir))
    found.Reload()
    for one in trials[:2]:
        assert [event.step for event in found.Scalars(one.name, "accuracy/validation")] == list(range(1, EPOCHS + 1))
    assert trials[2].name not in found.Runs()


def test_a_filter_is_any_part_of_a_name_and_one_that_finds_nothing_is_refused(tmp_path):
    run = make(tmp_path / "run", [trial(subject, 0.1) for subject in ("01", "02")])
    assert [one.training_set for one in chosen(run, "sub*2_lr")] == ["sub-02"]
    with pytest.raises(UserError, match=r"no trial of .* has this in its name, such as sub-01"):
        chosen(run, "sub-03")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"done": "%s", "models": [[1]]}', '{"done": "%s", "models": 1}'])
def test_damaged_records_of_tested_scores_are_none(tmp_path, content):
    run = make(tmp_path / "run", [trial("01", 0.1)])
    write_aggregates(run, {})
    path = run.tensorboard / "tested.json"
    done = json.loads(path.read_text())["done"]
    path.write_text(content.replace("%s", done))
    write_aggregates(run)
    assert len(page(run.tensorboard)[1]) == 1
