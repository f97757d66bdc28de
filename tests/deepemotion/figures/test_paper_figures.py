"""Figures 3 to 6 of the paper as drawings: what they say, for predictions whose scores are known."""

import numpy as np
import pandas as pd
from drawn_figures import CLASSES, cells, table, words

from deepemotion.figures import emotions, held_out, learning, one_emotion, style


def test_figure_4_gives_every_emotion_its_share_and_hatches_the_right_one():
    label = ["LOVE"] * 19 + ["FEAR"] * 3
    prediction = ["SADNESS"] * 8 + ["LOVE"] * 6 + ["HAPPINESS"] * 5 + ["FEAR"] * 3
    figure = one_emotion.predictions_of_emotion(table(label, prediction), "LOVE", CLASSES, "sub-19", "note")
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == [
        *("Sadness  42.1 % (8)", "Love  31.6 % (6) (right)", "Happiness  26.3 % (5)"),
        *("Fear  0.0 % (0)", "Anger  0.0 % (0)"),
    ]
    assert legend.get_title().get_text() == "predicted (n = 19)"
    assert [bool(one.get_hatch()) for one in figure.axes[0].patches] == [False, True, False, False, False]


def test_figure_5_marks_the_models_that_do_not_beat_the_audit():
    accuracy = pd.DataFrame({"sub-01": [0.25, 0.5], "pooled": [1.0, np.nan]}, index=["ANGER", "FEAR"])
    figure = emotions.emotion_by_model(accuracy, 1, below=["pooled"], note="n = 9.")
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["Fear", "Anger"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["01", "ALL†"]
    assert cells(axes) == ["50", "25", "100"]
    assert figure.get_supxlabel().replace("\n", " ") == f"n = 9. {style.DAGGER_MEANS}"


def test_figure_5_s_table_scores_folds_together():
    folds = pd.concat([table(["FEAR"] * 3, ["FEAR"] * 3), table(["FEAR", "LOVE"], ["LOVE", "LOVE"])])
    found = emotions.accuracy_table({"pooled": table(["FEAR"], ["LOVE"]), "sub-01": folds}, CLASSES)
    assert list(found.columns) == ["sub-01", "pooled"]
    assert found.loc["FEAR"].tolist() == [0.75, 0]
    assert found.loc["LOVE", "sub-01"] == 1
    assert np.isnan(found.loc["ANGER"]).all()


def test_figure_3_says_where_the_curves_end_and_marks_what_the_audit_beats():
    tags = {
        "single_subject/accuracy/train/mean": [0.5, 0.9],
        "single_subject/accuracy/train/minus_sd": [0.4, 0.8],
        "single_subject/accuracy/train/plus_sd": [0.6, 1.0],
        "single_subject/accuracy/validation/mean": [0.4, 0.7],
        "single_subject/accuracy/validation/minus_sd": [0.3, 0.6],
        "single_subject/accuracy/validation/plus_sd": [0.5, 0.8],
        "pooled/accuracy/train": [0.3, 0.6],
        "pooled/accuracy/validation": [0.2, 0.97],
        "reference/label_only": [0.95, 0.95],
        "reference/chance": [0.2, 0.2],
    }
    rows = [("c", i + 1, tag, value) for tag, values in tags.items() for i, value in enumerate(values)]
    values = pd.DataFrame(rows, columns=["condition", "epoch", "tag", "value"])
    figure = learning.learning_curves(values, "c", 19)
    left, right = (axes.get_title() for axes in figure.axes)
    assert left == "Single-subject models, mean ± 1 SD (n = 19)\nend: train 90.0 %, validation 70.0 %†"
    assert right == "Cross-subject (pooled) model\nend: train 60.0 %, validation 97.0 %"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["train", "validation", "chance", "labels alone"]
    assert {tick % 1 for axes in figure.axes for tick in axes.get_xticks()} == {0}
    # One epoch is a point.
    figure = learning.learning_curves(values[values["epoch"] == 1], "c", 19)
    assert {tick % 1 for axes in figure.axes for tick in axes.get_xticks()} == {0}
    assert figure.axes[0].lines[0].get_marker() == "o"


def audited(*names, unseen=0.9):
    """A row a trial of held-out training sets."""
    columns = {"label_only_accuracy": 0.5, "majority_accuracy": 0.5, "chance": 0.2, "n_validation": 8, "n_unseen": 4}
    columns |= {"label_only_accuracy_unseen": unseen, "majority_accuracy_unseen": 0.5}
    return pd.DataFrame({"training_set": list(names), **columns})


def test_figure_6_puts_unseen_subjects_right_of_those_trained_on():
    def of(name, subject, split, right):
        return table(["LOVE", "FEAR"] * 4, ["LOVE", "FEAR" if right else "LOVE"] * 4, split, subject, name)

    one = [of("held-out-1-1", subject, split, True) for subject in ("02", "03") for split in ("train", "validation")]
    rows = pd.concat([*one, of("held-out-1-1", "01", "unseen", False)])
    (panel,) = held_out.panels(rows, audited("held-out-1-1"), CLASSES)
    assert list(panel.accuracy.columns) == ["02", "03", "01"]
    assert panel.unseen == 1
    assert panel.accuracy.loc["FEAR"].tolist() == [1, 1, 0]
    # What labels alone score on the unseen differs: the same moments were trained on.
    assert panel.title == "2 subjects trained on: seen 100.0 % (n = 16 volumes); unseen 50.0 %† (n = 8 volumes)"
    figure = held_out.seen_and_unseen([panel], "note")
    assert "← seen" in words(figure)
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["02", "03", "01"]
    assert style.DAGGER_MEANS in figure.get_supxlabel().replace("\n", " ")
    (better,) = held_out.panels(rows, audited("held-out-1-1", unseen=0.1).assign(majority_accuracy_unseen=0.1), CLASSES)
    assert held_out.seen_and_unseen([better], "note").get_supxlabel() == "note"


def test_leaving_each_subject_out_gives_one_column_a_subject():
    parts = [
        table(["LOVE"] * 4, ["LOVE" if subject != out else "FEAR"] * 4, split, subject, f"without-{out}")
        for out in ("01", "02", "03")
        for subject in ("01", "02", "03")
        for split in (("unseen",) if subject == out else ("train", "validation"))
    ]
    trials = audited("without-01", "without-02", "without-03")
    seen, unseen = held_out.panels(pd.concat(parts), trials, CLASSES)
    assert seen.accuracy.loc["LOVE"].tolist() == [1, 1, 1]
    assert unseen.accuracy.loc["LOVE"].tolist() == [0, 0, 0]
    assert len(held_out.seen_and_unseen([seen, unseen], "note").axes) == 3
