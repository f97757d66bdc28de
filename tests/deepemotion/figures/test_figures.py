"""The figures as drawings: what they say, for predictions whose scores are known."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import nn

from deepemotion.figures import (
    calibration,
    confusion,
    emotions,
    held_out,
    label_audit,
    learning,
    network,
    one_emotion,
    scoring,
    style,
    timeline,
)
from deepemotion.models import registry
from deepemotion.scoring.audit import beats
from deepemotion.settings.schema import ModelSettings

CLASSES = ["ANGER", "FEAR", "HAPPINESS", "LOVE", "SADNESS"]


def table(label, prediction, split="validation", subject="01", training_set="sub-01", confidence=0.6):
    """Predictions of one volume every 2 s."""
    rows = pd.DataFrame({"label": list(label), "prediction": list(prediction)})
    rows["split"], rows["subject"], rows["training_set"], rows["trial"] = split, subject, training_set, training_set
    rows["run"] = 1 + np.arange(len(rows)) * 2 // max(1, len(rows))
    rows["index_in_run"] = np.arange(len(rows))
    rows["movie_time"] = 2.0 * np.arange(len(rows))
    for name in CLASSES:
        rows[f"p_{name}"] = np.where(rows["prediction"] == name, confidence, (1 - confidence) / 4)
    return rows


def words(figure: Figure) -> str:
    """Return all text of a figure."""
    return "\n".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def cells(axes):
    return [text.get_text() for text in axes.texts]


def test_style_holds_in_a_figure_only_and_svg_keeps_text(tmp_path):
    import matplotlib

    before = matplotlib.rcParams.copy()
    figure = one_emotion.predictions_of_emotion(table(["LOVE"] * 4, ["LOVE"] * 4), "LOVE", CLASSES, "A title", "n = 4")
    style.save(figure, tmp_path, "pie")
    assert matplotlib.rcParams == before
    assert "A title" in (tmp_path / "pie.svg").read_text()
    with Image.open(tmp_path / "pie.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_captions_are_broken_into_lines_of_like_length():
    figure = Figure(figsize=(2, 1))
    style.caption(figure, "word " * 12)
    lengths = [len(line) for line in figure.get_supxlabel().splitlines()]
    assert len(lengths) > 1
    assert max(lengths) <= 36
    assert max(lengths) - min(lengths) < 15


def test_models_stand_in_the_order_single_pooled_others_by_number():
    names = ["held-out-11-15", "pooled", "sub-10", "held-out-5-10", "sub-02"]
    assert sorted(names, key=style.model_order) == ["sub-02", "sub-10", "pooled", "held-out-5-10", "held-out-11-15"]


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


def test_confusion_is_the_mean_over_models_of_shares_of_each_label():
    one = table(["LOVE", "LOVE", "FEAR"], ["LOVE", "FEAR", "FEAR"])
    other = table(["LOVE"] * 4, ["LOVE"] * 4)
    shares = confusion.shares(one, CLASSES)
    assert shares[3].tolist() == [0, 0.5, 0, 0.5, 0]
    assert np.isnan(shares[0]).all()
    figure = confusion.confusion_matrices([one, other], one, CLASSES, "note")
    left, right = figure.axes[:2]
    assert left.get_title() == "Single-subject models, mean\n(n = 2 models, 7 volumes)"
    # Rows in the paper's order: fear, which one model was tested on, and love.
    assert cells(left) == ["100", "0", "0", "0", "0", "25", "0", "0", "75", "0"]
    assert cells(right) == ["100", "0", "0", "0", "0", "50", "0", "0", "50", "0"]


def test_accuracy_beside_labels_alone_has_a_dagger_and_n():
    trials = pd.DataFrame(
        {
            "training_set": ["sub-01", "sub-01", "sub-02", "pooled"],
            "accuracy_validation": [0.5, 0.7, 0.4, 0.9],
            "label_only_accuracy": 0.3,
            "majority_accuracy": [0.4, 0.4, 0.4, 0.2],
            "chance": 0.2,
            "n_validation": [10, 20, 30, 40],
        }
    )
    figure = label_audit.against_labels(trials, "title")
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == ["01  (n = 30)", "02†  (n = 30)", "ALL  (n = 40)"]
    # A model's point is the mean over its folds, by their volumes.
    assert label_audit.model_means(trials).loc["sub-01", "accuracy_validation"] == pytest.approx(19 / 30)


def test_scores_of_folds_are_weighed_by_their_volumes():
    trials = pd.DataFrame(
        {
            "label_only_accuracy": [0.2, 0.5],
            "label_only_accuracy_unseen": [1.0, 0.0],
            "majority_accuracy": 0.3,
            "chance": 0.2,
            "n_validation": [20, 10],
            "n_unseen": [3, 1],
        }
    )
    found = scoring.without_brain(trials)
    assert found == pytest.approx({"label_only_accuracy": 0.3, "majority_accuracy": 0.3, "chance": 0.2})
    unseen = scoring.without_brain(trials, "unseen")
    assert unseen["label_only_accuracy"] == 0.75
    assert np.isnan(unseen["majority_accuracy"])
    assert beats(0.31, found.values())
    assert not beats(0.3, found.values())
    # What cannot be compared is not called better.
    assert not beats(0.99, unseen.values())


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


def test_the_timeline_counts_held_out_volumes_only_and_breaks_long_movies():
    rows = table(["LOVE", "FEAR"] * 1000, ["LOVE", "LOVE"] * 1000)
    rows.loc[rows.index[:500], "split"] = "train"
    rows.loc[rows.index[500:1000], "split"] = ""
    figure = timeline.timeline(rows, CLASSES, "title", "note")
    assert len(figure.axes) == 3
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "predicted right (n = 500)" in legend
    assert "wrong (n = 500)" in legend


def test_calibration_draws_confidence_against_accuracy():
    rows = table(["LOVE"] * 8 + ["FEAR"] * 2, ["LOVE"] * 10, confidence=0.75)
    figure = calibration.calibration_curves({"pooled model": rows}, CLASSES, "note")
    # Outside of the panels: no curve lies below it.
    assert len(figure.legends) == 1
    assert all(axes.get_legend() is None for axes in figure.axes)
    line = figure.axes[0].lines[1]
    np.testing.assert_allclose(np.array(line.get_xydata()), [[75, 80]])
    assert line.get_label() == "pooled model, n = 10 volumes,\nexpected calibration error 5.0 %"


def test_figure_2_tells_every_layer_of_the_papers_network_at_its_true_size():
    shape = (48, 175, 132)
    with torch.device("meta"):
        model = registry.build(ModelSettings(name="cnn3d"), shape, 5)
    found = network.layers(model, shape)
    assert sum(layer.parameters for layer in found) == sum(p.numel() for p in model.parameters())
    assert found[0] == network.Layer("features.0", "Conv3d 3×3×3, 16", (16, *shape), 16 * 27 + 16)
    assert found[-1].shape == (5,)
    assert [layer.shape for layer in found if layer.what.startswith("MaxPool3d")][-1] == (64, 6, 21, 16)
    said = words(network.network("cnn3d", found, shape))
    assert f"cnn3d: 16 layers, {sum(layer.parameters for layer in found):,} parameters" in said
    assert "16 × 48 × 175 × 132" in said


def test_layers_leave_the_model_as_it_was_and_count_what_is_shared_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return self.layer(self.layer(x.flatten(1)))

    model = Twice().train()
    found = network.layers(model, (2, 2, 2))
    assert [(layer.what, layer.parameters) for layer in found] == [
        *(("Linear 8", 72), ("Linear 8", 0)),
        ("parameters outside layers", 3),
    ]
    assert model.training
    assert not model.layer._forward_hooks


def test_a_deep_network_is_gathered_into_its_parts():
    deep = nn.Sequential(nn.Flatten(), *[nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(20)])
    found = network.layers(deep, (2, 2, 2))
    rows = network.gather(found, most=26)
    assert len(found) == 41
    assert len(rows) == 21
    assert rows[1].what == "part 1: Linear, ReLU"
    assert sum(row.parameters for row in rows) == sum(layer.parameters for layer in found)


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_volume_is_enough(count):
    rows = table(["LOVE"] * count, ["FEAR"] * count)
    timeline.timeline(rows, CLASSES, "title", "note")
    calibration.calibration_curves({"one": rows}, CLASSES, "note")
    confusion.confusion_matrices([rows], None, CLASSES, "note")
