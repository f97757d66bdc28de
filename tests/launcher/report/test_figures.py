"""Which figures a run gets, from tables of trials whose results are made up; nothing is trained."""

import json

import numpy as np
import pandas as pd
import pytest
from small_plan import planned

from deepemotion.errors import UserError
from deepemotion.training.data_sources import Sources
from launcher.report import figure_data, figures
from launcher.report.figure_data import Choice
from launcher.report.html import write_report
from launcher.report.run_figure import Drawn, Skipped
from launcher.run.directory import RunDirectory
from launcher.tables.trials import write_tables

CLASSES = ["ANGER", "FEAR", "LOVE"]


def add(run, training_set, subjects, unseen=(), permutation=0, right=0.5, done=True, **named):
    """Plan a trial and write what a finished one leaves; the predictions of volumes are right in turn."""
    condition, protocol = named.get("condition", "lr-0.001"), named.get("protocol", "random")
    data, split = {"permutation": permutation}, {"protocol": protocol}
    name = f"{training_set}_{condition}_perm-{permutation}{named.get('suffix', '')}"
    name += "" if protocol == "random" else f"_{protocol}"
    who = {"subjects": list(subjects), "unseen_subjects": list(unseen)}
    run.add_to_plan(
        [planned(name, training_set, condition, protocol, data=data, split=split, train={"epochs": 1}, **who)]
    )
    directory = run.trial(name)
    row = {"epoch": 1, "accuracy/train": 1.0, "accuracy/validation": right}
    directory.path.mkdir(parents=True)
    directory.write_epochs([row])
    if not done:
        return
    parts = [rows(subject, split, right) for subject in subjects for split in ("train", "validation")]
    table = pd.concat([*parts, *(rows(subject, "unseen", right) for subject in unseen)])
    for column in ("subject", "split", "label", "prediction"):
        table[column] = table[column].astype("category")
    table.to_parquet(directory.predictions, index=False)
    result = {"accuracy_train": 1.0, "accuracy_validation": right, "label_only_accuracy": 0.6, "duration_s": 1.0}
    result |= {"majority_accuracy": 0.3, "chance": 1 / 3, "n_validation": 6 * len(subjects), "epochs": 1}
    result |= {"n_unseen": 6 * len(unseen)}
    result |= {f"accuracy_validation_{name}": right for name in CLASSES}
    directory.result.write_text(json.dumps(result))


def rows(subject, split, right):
    label = np.array(CLASSES * 2)
    prediction = np.where(np.arange(6) < 6 * right, label, np.roll(label, 1))
    time_s = 4.0 * np.arange(6) + (0 if split == "train" else 2)
    table = pd.DataFrame({"subject": subject, "run": 1, "index_in_run": time_s // 2, "movie_time": time_s})
    table["split"], table["label"], table["prediction"] = split, label, prediction
    for name in CLASSES:
        table[f"p_{name}"] = np.where(prediction == name, 0.8, 0.1).astype(np.float32)
    return table


@pytest.fixture
def run(tmp_path):
    """A run of two subjects, the pooled model, a permuted trial, one not done, one condition that is not."""
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    Sources(tmp_path / "gone", tmp_path / "gone.tsv").write(run.path)
    run.experiment_file.write_text("description: made up\n")
    for subject in ("01", "19"):
        add(run, f"sub-{subject}", [subject], right=1.0 if subject == "01" else 0.5)
        add(run, f"sub-{subject}", [subject], permutation=1, right=0.0)
    add(run, "pooled", ["01", "19"])
    add(run, "sub-02", ["02"], done=False)
    add(run, "sub-01", ["01"], done=False, condition="lr-0.1")
    return run


def drawn(run, **choice):
    made = list(figures.draw(run, write_tables(run), Choice(**choice)))
    names = {one.name: one.figure for one in made if isinstance(one, Drawn)}
    return names, {one.name: one.why for one in made if isinstance(one, Skipped)}


def test_a_run_gets_every_figure_or_a_word_why_not(run):
    shown, skipped = drawn(run)
    assert set(shown) == {
        *("figure-3_lr-0.001", "figure-5_lr-0.001", "confusion_lr-0.001", "labels-alone_lr-0.001"),
        *("calibration_lr-0.001", "figure-4_lr-0.001_sub-19_love", "timeline_lr-0.001_sub-19"),
    }
    assert "--annotations" in skipped.pop("figure-1")
    assert "cannot be read any more" in skipped.pop("figure-2_cnn3d")
    assert "--held-out-folds" in skipped.pop("figure-6_lr-0.001")
    assert "--controls all" in skipped.pop("controls_lr-0.001")
    assert "--learning-curve" in skipped.pop("learning-curve_lr-0.001")
    assert not skipped


def test_permuted_and_unfinished_trials_enter_no_figure(run):
    (material,) = figure_data.read(run, write_tables(run), Choice())
    assert set(material.predictions["trial"]) == {f"{name}_lr-0.001_perm-0" for name in ("sub-01", "sub-19", "pooled")}
    shown, _ = drawn(run)
    names = [tick.get_text() for tick in shown["labels-alone_lr-0.001"].axes[0].get_yticklabels()]
    assert names == ["01  (n = 6)", "19†  (n = 6)", "ALL†  (n = 12)"]
    assert shown["confusion_lr-0.001"].axes[0].get_title().endswith("(n = 2 models, 12 volumes)")
    assert "† 2 of 3 models do not exceed" in shown["confusion_lr-0.001"].get_supxlabel().replace("\n", " ")


def test_figure_3_says_how_many_volumes_its_accuracies_are_of(run):
    shown, _ = drawn(run)
    assert shown["figure-3_lr-0.001"].get_supxlabel().startswith("n = 6 to 12 validation volumes a model.")


def test_a_model_that_diverged_is_drawn_like_any_other(run):
    add(run, "sub-01", ["01"], condition="lr-9", right=1 / 3)
    path = run.trial("sub-01_lr-9_perm-0").predictions
    table = pd.read_parquet(path).assign(prediction=pd.Categorical(["ANGER"] * 12))
    table[[f"p_{name}" for name in CLASSES]] = np.float32("nan")
    table.to_parquet(path, index=False)
    shown, _ = drawn(run)
    cells = [text.get_text() for text in shown["confusion_lr-9"].axes[0].texts]
    assert {"confusion_lr-9", "calibration_lr-9", "figure-5_lr-9", "timeline_lr-9_sub-01"} <= set(shown)
    assert len(cells) == len(CLASSES) ** 2


def test_any_subject_and_emotion_can_be_asked_for(run):
    shown, _ = drawn(run, subject="01", emotion="fear")
    pie = shown["figure-4_lr-0.001_sub-01_fear"].axes[0]
    assert pie.get_title() == "sub-01, its own model: held-out Fear scenes"
    assert pie.get_legend().get_texts()[0].get_text() == "Fear  100.0 % (2) (right)"


def test_a_subject_without_a_model_of_its_own_is_shown_by_one_tested_on_it(run):
    add(run, "held-out-1-1", ["01", "19"], unseen=["03"])
    shown, skipped = drawn(run, subject="03")
    title = shown["timeline_lr-0.001_sub-03"].axes[0].get_title()
    assert title == "sub-03, model held-out-1-1: emotions along the movie"
    title = shown["figure-6_lr-0.001"].axes[0].get_title()
    assert title.startswith("2 subjects trained on: seen 50.0 %†")
    assert "figure-6_lr-0.001" not in skipped
    # Figure 5 has the single-subject models and the pooled one, as in the paper.
    columns = [tick.get_text() for tick in shown["figure-5_lr-0.001"].axes[0].get_xticklabels()]
    assert columns == ["01", "19†", "ALL†"]


def test_setups_of_one_condition_are_drawn_apart_and_what_was_replaced_is_not(run):
    add(run, "sub-01", ["01"], right=0.0, protocol="block")
    add(run, "sub-19", ["19"], right=0.0, suffix="_again")
    materials = figure_data.read(run, write_tables(run), Choice())
    assert {one.name: one.sets("sub-") for one in materials} == {
        "lr-0.001_block": ["sub-01"],
        "lr-0.001_random": ["sub-01", "sub-19"],
    }
    names = {name for one in materials for name in one.predictions["trial"] if "sub-19" in name}
    assert names == {"sub-19_lr-0.001_perm-0_again"}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"subject": "07"}, r"subject 07: no finished model was tested on it, only on 01, 19"),
        ({"emotion": "joy"}, r"emotion joy: not in this run, which has ANGER, FEAR, LOVE"),
        ({"condition": "lr-0.1"}, r"condition lr-0.1: no finished trial; the run has lr-0.001, lr-0.1"),
    ],
)
def test_a_wrong_choice_is_told_before_anything_is_drawn(run, choice, said):
    with pytest.raises(UserError, match=said):
        next(figures.draw(run, write_tables(run), Choice(**choice)))


def test_the_command_ends_with_one_line_where_there_is_nothing(command, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    add(run, "sub-01", ["01"], done=False)
    for words, said in (((run.path,), "no trial is done yet"), ((run.path, "--subject", "1,2"), "give one subject")):
        done = command("deepemotion-launch", "figures", *words)
        assert done.returncode == 2
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_report_holds_the_figures_and_says_which_it_leaves_out(run):
    html = write_report(run).read_text()
    assert html.count("data:image/png;base64,") == 7
    assert "Figure 6: subjects that were trained on, and subjects that were not: left out: needs training sets" in html
    assert "<h3>Figure 3: accuracy over epochs (lr-0.001)</h3>" in html
    assert "<h3>Figure 4: what the scenes of one emotion are predicted as (lr-0.001, sub-19, love)</h3>" in html
    assert "figure-3_lr-0.001</h3>" not in html
    assert (run.path / "figures" / "figure-5_lr-0.001.svg").is_file()


def test_figure_1_is_drawn_over_the_movie_of_the_labels(run, tmp_path):
    lines = [f"{2 * i}\tFEAR\t2\t3\t0\t1\t0" for i in range(10)]
    header = "\t".join(["movie_time", "emotion", "votes", "observers", *CLASSES])
    (tmp_path / "gone.tsv").write_text("\n".join([header, *lines]) + "\n")
    folder = tmp_path / "annotations"
    folder.mkdir()
    (folder / "av1o01.csv").write_text("start,end,character,emotion\n2,8,DAN,HOPE\n4,6,DAN,FEAR\n")
    shown, _ = drawn(run, annotations=folder)
    said = shown["figure-1"].get_supxlabel()
    assert said == "Observers av1o01. n = 1 observers, 10 movie times, 4 labels given."
    (folder / "av1o01.csv").write_text("start,end,character,emotion\n2000,2008,DAN,HOPE\n")
    with pytest.raises(UserError, match="no label falls into the 10 movie times"):
        drawn(run, annotations=folder)


@pytest.mark.parametrize(("labels_alone", "marked"), [(0.9, True), (0.2, False)])
def test_figure_4_of_an_unseen_subject_is_held_against_what_labels_alone_score_there(run, labels_alone, marked):
    add(run, "without-03", ["01", "19"], unseen=["03"], right=0.5)
    directory = run.trial("without-03_lr-0.001_perm-0")
    result = json.loads(directory.result.read_text())
    result |= {"accuracy_unseen": 0.5, "label_only_accuracy_unseen": labels_alone, "majority_accuracy_unseen": 0.3}
    # On subjects that it has seen, the model is the other way round.
    result |= {"label_only_accuracy": 1.1 - labels_alone, "majority_accuracy": 0.3}
    directory.result.write_text(json.dumps(result))
    shown, _ = drawn(run, subject="03")
    caption = shown["figure-4_lr-0.001_sub-03_love"].get_supxlabel()
    assert ("50.0 %†" in caption) == ("does not exceed" in caption.replace("\n", " ")) == marked
