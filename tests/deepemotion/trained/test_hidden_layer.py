"""The hidden representation: components of known data, affect from annotations that are written here."""

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.collections import PathCollection

from deepemotion.config_files import find
from deepemotion.errors import UserError
from deepemotion.labels import affect
from deepemotion.labels.table import Labels
from deepemotion.settings.schema import make_trial, read_settings
from deepemotion.trained import hidden_layer
from deepemotion.trained.hidden_layer import Components
from deepemotion.trained.hidden_layer_figure import hidden as draw
from deepemotion.trained.trained import load_trained
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

TIMES = 2.0 * np.arange(6)


def test_components_of_data_along_two_axes():
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.standard_normal((8, 2)))[0]
    scores = rng.standard_normal((50, 2)) * [3, 1]
    found = hidden_layer.principal_components(scores @ axes.T + 7, count=3)
    assert found.scores.shape == (50, 3)
    assert found.explained.sum() == pytest.approx(1)
    assert found.explained[2] == pytest.approx(0, abs=1e-9)
    along = np.corrcoef(found.scores[:, 0], scores[:, 0])[0, 1]
    assert abs(along) > 0.95


def test_a_component_s_sign_does_not_depend_on_the_order_of_volumes():
    data = np.random.default_rng(1).standard_normal((30, 6)).astype(np.float32)
    one, other = hidden_layer.principal_components(data), hidden_layer.principal_components(data[::-1])
    np.testing.assert_allclose(one.scores, other.scores[::-1], atol=1e-5)


def test_constant_activations_have_no_variance_to_explain():
    found = hidden_layer.principal_components(np.ones((4, 3)))
    assert found.explained.tolist() == [0, 0, 0]
    table = hidden_layer.components_table(pd.DataFrame({"pc1": [0.0] * 4, "arousal": [1.0, 2, 3, 4]}), found_one(0.0))
    assert np.isnan(table["r_arousal"].iloc[0])


def found_one(share):
    return Components(np.zeros((4, 1)), np.array([share]))


def test_correlations_are_over_the_volumes_that_have_a_value():
    volumes = pd.DataFrame({"pc1": [1.0, 2, 3, 9], "arousal": [2.0, 4, 6, np.nan], "valence": [np.nan] * 4})
    (row,) = hidden_layer.components_table(volumes, found_one(0.5)).to_dict("records")
    assert row["r_arousal"] == pytest.approx(1)
    assert (row["n_arousal"], row["n_valence"]) == (3, 0)
    assert np.isnan(row["r_valence"])


def write(folder, name, *rows):
    folder.mkdir(exist_ok=True)
    lines = ["start,end,character,arousal,valence,direction,emotion", *rows]
    (folder / f"{name}.csv").write_text("\n".join(lines) + "\n")


def test_affect_is_the_mean_over_events_then_observers(tmp_path):
    write(tmp_path, "av1o01", "0,4,DAN,HIGH,POS,SELF,HOPE", "2,4,JENNY,LOW,,SELF,")
    write(tmp_path, "ao1o01", "3,3,DAN,HIGH,NEG,SELF,HATE")
    found = affect.read(tmp_path, TIMES)
    assert found.observers == 2
    # At 2 s one observer has the mean of high and low; the other's moment at 3 s lies in the same interval.
    np.testing.assert_array_equal(found.arousal, [1, 0.5, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(found.valence, [1, 0, np.nan, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("0,4,DAN,MIDDLE,POS,SELF,HOPE", r"av1o01.csv:2: arousal 'MIDDLE' is none of HIGH, LOW"),
        ("zero,4,DAN,HIGH,POS,SELF,HOPE", r"av1o01.csv:2: start 'zero' is not a time in seconds"),
    ],
)
def test_malformed_affect_is_told_with_file_and_line(tmp_path, row, said):
    write(tmp_path, "av1o01", row)
    with pytest.raises(UserError, match=said):
        affect.read(tmp_path, TIMES)


def test_files_without_affect_are_told(tmp_path):
    with pytest.raises(UserError, match="no CSV file"):
        affect.read(tmp_path, TIMES)
    (tmp_path / "a.csv").write_text("start,end,emotion\n0,1,HOPE\n")
    with pytest.raises(UserError, match=r"a.csv:1: needs one column 'arousal'"):
        affect.read(tmp_path, TIMES)


def test_the_real_annotations_have_affect(shared_annotations):
    found = affect.read(shared_annotations, 2.0 * np.arange(3517))
    assert found.observers == 12
    assert np.isfinite(found.arousal).mean() > 0.9
    assert -0.5 < np.nanmean(found.valence) < 0.5


@pytest.fixture(scope="module")
def trained(tiny_packed, tiny_labels, tmp_path_factory):
    """A network after one epoch on one subject."""
    changes = ["data.drop_overlaps=false", "train.epochs=1", "data.lag_s=4"]
    trial = make_trial(read_settings(find("demo"), changes), ["01"], [])
    directory = TrialDirectory(tmp_path_factory.mktemp("trial"))
    train(trial, tiny_packed, tiny_labels, directory, lambda metrics: None)
    return load_trained(directory, tiny_packed, tiny_labels)


def test_activations_are_what_the_last_layer_makes_its_answer_of(trained):
    found = hidden_layer.activations(trained)
    assert found.shape == (len(trained.samples), 128)
    assert (found >= 0).all()
    with torch.inference_mode():
        probability = trained.model.logits(torch.from_numpy(found)).softmax(dim=1).numpy()
    columns = [f"p_{name}" for name in trained.samples.classes]
    np.testing.assert_allclose(probability, trained.predictions[columns], atol=1e-5)


def test_each_volume_gets_the_affect_of_what_was_heard(trained, tiny_labels):
    labels = Labels.read(tiny_labels)
    heard = affect.Affect(np.arange(len(labels.movie_time)) * 1.0, np.full(len(labels.movie_time), np.nan), 1)
    found = hidden_layer.principal_components(hidden_layer.activations(trained))
    volumes = hidden_layer.add_affect(hidden_layer.table(trained, found), heard, labels, lag_s=4.0)
    np.testing.assert_allclose(volumes["arousal"], (volumes["movie_time"] - 4 - labels.movie_time[0]) // 2)
    components = hidden_layer.components_table(volumes, found)
    assert list(components["component"]) == ["pc1", "pc2", "pc3", "pc4", "pc5"]
    assert components["n_valence"].tolist() == [0] * 5

    figure = draw(volumes, components, "a title", "a note")
    left, right, correlations = figure.axes
    count = int((volumes["split"] == "validation").sum())
    assert right.get_title() == f"held out (n = {count} volumes)"
    points = [one for one in left.collections if isinstance(one, PathCollection)]
    assert sum(len(one.get_offsets()) for one in points) == len(volumes) - count
    assert [tick.get_text() for tick in correlations.get_xticklabels()][1] == "valence\n(n = 0)"
    alone = volumes.drop(columns=["arousal", "valence"])
    assert len(draw(alone, hidden_layer.components_table(alone, found), "a title", "a note").axes) == 2
