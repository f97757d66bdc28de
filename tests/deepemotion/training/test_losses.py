"""Losses and optimisers: the definitions, and what they do to a training."""

import copy
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from deepemotion import config_files
from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.models import registry
from deepemotion.samples.load import load
from deepemotion.samples.samples import SampleTable
from deepemotion.settings.schema import DataSettings, ModelSettings, TrainSettings, make_trial, read_settings
from deepemotion.training import optimisers
from deepemotion.training.loop import train
from deepemotion.training.losses import Loss, balanced
from deepemotion.training.trial_directory import TrialDirectory

CPU = torch.device("cpu")
CLASSES = 4
counts = st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=40)


def table(label, soft=None):
    n = len(label)
    return SampleTable(
        subject=np.array(["01"] * n),
        run=np.ones(n, np.int8),
        index_in_run=np.arange(n),
        movie_time=2.0 * np.arange(n),
        true_time=2.0 * np.arange(n),
        label=np.array(label, np.int64),
        soft=np.eye(CLASSES, dtype=np.float32)[label] if soft is None else np.array(soft, np.float32),
    )


def loss(samples, logits, training=None, **settings):
    rows = np.arange(len(samples)) if training is None else np.array(training)
    made = Loss(samples, rows, TrainSettings(**settings), CPU)
    return float(made(torch.as_tensor(logits, dtype=torch.float32)[rows], torch.from_numpy(rows)))


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def logits_of(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, CLASSES))


def test_the_default_is_torchs_cross_entropy_bit_for_bit():
    label = np.arange(12) % CLASSES
    made = Loss(table(label), np.arange(12), TrainSettings(), CPU)
    logits, rows = torch.randn(5, CLASSES), torch.tensor([3, 1, 11, 0, 7])
    wanted = torch.nn.functional.cross_entropy(logits, torch.from_numpy(label)[rows])
    assert torch.equal(made(logits, rows), wanted)


@given(label=counts, data=st.data())
def test_soft_cross_entropy_compares_with_the_shares_whatever_their_sum(label, data):
    share = st.lists(st.integers(0, 9), min_size=CLASSES, max_size=CLASSES).filter(any)
    soft = np.array([data.draw(share) for _ in label]) / 9
    logits = logits_of(len(label))
    target = soft / soft.sum(axis=1, keepdims=True)
    wanted = -(target * log_softmax(logits)).sum(axis=1).mean()
    assert loss(table(label, soft), logits, loss="soft") == pytest.approx(wanted, rel=1e-4)
    assert loss(table(label, 0.1 * soft), logits, loss="soft") == pytest.approx(wanted, rel=1e-4)


@given(label=counts)
def test_unanimous_observers_make_both_losses_equal(label):
    logits = logits_of(len(label))
    for weights in ("none", "balanced"):
        hard, soft = (
            loss(table(label), logits, loss=kind, class_weights=weights) for kind in ("cross-entropy", "soft")
        )
        assert soft == pytest.approx(hard, rel=1e-5)


@settings(deadline=None)  # importing parts of scikit-learn at first use takes longer than an example may
@given(label=counts)
def test_balanced_weights_are_scikit_learns_and_0_for_absent_classes(label):
    present = np.unique(label)
    weights = balanced(np.eye(CLASSES)[label])
    theirs = compute_class_weight("balanced", classes=present, y=np.array(label))
    # scikit-learn divides by the number of classes that are present, this by all of them.
    np.testing.assert_allclose(weights[present] * CLASSES / len(present), theirs)
    assert not weights[np.setdiff1d(np.arange(CLASSES), present)].any()


@given(label=counts)
def test_balanced_classes_count_alike(label):
    logits = logits_of(len(label))
    of_label = -log_softmax(logits)[np.arange(len(label)), label]
    per_class = [of_label[np.array(label) == c].mean() for c in np.unique(label)]
    wanted = np.sum(per_class) / CLASSES
    assert loss(table(label), logits, class_weights="balanced") == pytest.approx(wanted, rel=1e-4)


def test_weights_come_from_training_volumes_alone():
    samples = table([0, 0, 1, 2, 2, 2, 2, 3])
    logits = np.zeros((8, CLASSES))
    # Classes 2 and 3 are not trained on; what happens outside the training rows does not matter.
    got = loss(samples, logits, training=[0, 1, 2], class_weights="balanced")
    assert got == pytest.approx((2 * 3 / (4 * 2) + 3 / (4 * 1)) / 3 * np.log(4))


def test_a_labelled_volume_that_no_observer_gave_a_class_is_told():
    soft = np.eye(CLASSES)[[0, 1, 2]]
    soft[1] = 0
    samples = table([0, 1, 2], soft)
    assert loss(samples, np.zeros((3, CLASSES)), training=[0, 2], loss="soft") == pytest.approx(np.log(4))
    with pytest.raises(UserError, match=r"train\.loss=soft: sub-01's volume at movie time 2 s"):
        loss(samples, np.zeros((3, CLASSES)), loss="soft")


def test_shares_stay_with_their_labels_through_loading(tiny_packed, tiny_labels):
    labels = Labels.read(tiny_labels)
    samples = load(tiny_packed, ["01", "02"], labels, DataSettings()).table
    assert samples.soft.shape == (len(samples), len(labels.classes))
    # A label is the class that most observers gave.
    assert np.array_equal(samples.soft[np.arange(len(samples)), samples.label], samples.soft.max(axis=1))
    by_time = dict(zip(labels.movie_time.tolist(), labels.soft, strict=True))
    for time, soft in zip(samples.movie_time.tolist(), samples.soft, strict=True):
        assert np.array_equal(by_time[2 * ((time - DataSettings().lag_s) // 2)], soft)


def steps(name, decay, count=1):
    """Return the parameters before and after steps whose loss has no gradient: what is left is the decay."""
    torch.manual_seed(0)
    model = registry.build(ModelSettings(name=name), (8, 8, 8), CLASSES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    before = {key: value.clone() for key, value in model.named_parameters()}
    optimiser = optimisers.build(model, TrainSettings(learning_rate=0.01, weight_decay=decay))
    for _ in range(count):
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimiser.step()
    return before, dict(model.named_parameters())


def test_a_network_s_weights_decay_by_rate_times_decay_and_its_vectors_do_not():
    before, after = steps("cnn3d", 0.2)
    for key, value in before.items():
        wanted = value * (1 - 0.01 * 0.2) if value.ndim > 1 else value
        torch.testing.assert_close(after[key], wanted)
    before, after = steps("cnn3d", 0.0)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_a_linear_model_s_decay_is_a_penalty_s_gradient():
    before, after = steps("linear", 0.2)
    # Adam's first step is the learning rate against the gradient's sign, whatever its size.
    torch.testing.assert_close(after["logits.weight"], before["logits.weight"] - 0.01)
    assert torch.equal(after["logits.bias"], before["logits.bias"])


@pytest.mark.parametrize("decay", [0.0, 0.2])
def test_steps_are_those_of_torch_s_optimiser_and_so_is_what_a_checkpoint_holds(decay):
    torch.manual_seed(0)
    mine = torch.nn.Linear(5, 3)
    torchs = copy.deepcopy(mine)
    optimiser = optimisers.build(mine, TrainSettings(learning_rate=0.01, weight_decay=decay))
    groups = [{"params": [torchs.weight], "weight_decay": decay}, {"params": [torchs.bias], "weight_decay": 0.0}]
    kind = torch.optim.AdamW if decay else torch.optim.Adam
    other = kind(groups if decay else torchs.parameters(), lr=0.01, fused=True)
    for _ in range(3):
        x_BF = torch.randn(4, 5)
        for model, steps in ((mine, optimiser), (torchs, other)):
            steps.zero_grad()
            model(x_BF).square().sum().backward()
            steps.step()
        other.load_state_dict(copy.deepcopy(optimiser.state_dict()))
        optimiser.load_state_dict(copy.deepcopy(other.state_dict()))
    assert torch.equal(mine.weight, torchs.weight)
    assert torch.equal(mine.bias, torchs.bias)
    assert optimiser.state_dict()["param_groups"] == other.state_dict()["param_groups"]


TRAINS_AND_TELLS = """
import sys
from deepemotion.cli import main
try:
    main()
finally:
    print("imported:", "torch._dynamo" in sys.modules)
"""


def test_a_training_does_without_the_compiler(tiny_packed, tiny_labels, tmp_path):
    """Importing it takes a second, and more memory than all else that a small trial needs."""
    words = ["train", tmp_path / "t", "--data", tiny_packed, "--labels", tiny_labels, "--subjects", "1"]
    small = ["--config", "demo", "--set", "train.epochs=1", "--set", "data.drop_overlaps=false"]
    done = subprocess.run(
        [sys.executable, "-c", TRAINS_AND_TELLS, *map(str, words), *small], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert TrialDirectory(tmp_path / "t").result.exists()
    assert done.stdout.endswith("imported: False\n")


@pytest.mark.parametrize(
    "changes",
    [("train.loss=soft",), ("train.class_weights=balanced",), ("train.loss=soft", "train.class_weights=balanced")],
)
def test_a_training_with_it_learns_and_goes_on_exactly(tiny_packed, tiny_labels, tmp_path, changes):
    small = ["train.epochs=4", "train.batch_size=16", "data.drop_overlaps=false", "train.weight_decay=0.01", *changes]
    trial = make_trial(read_settings(config_files.find("demo"), small), ["01"], [])

    def run(folder, on_epoch=lambda metrics: None):
        return train(trial, tiny_packed, tiny_labels, TrialDirectory(tmp_path / folder), on_epoch)

    def stop(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    result = run("straight")
    assert result["accuracy_train"] > 0.4
    with pytest.raises(KeyboardInterrupt):
        run("stopped", stop)
    run("stopped")
    one, other = (
        [{k: v for k, v in row.items() if k != "time/epoch"} for row in TrialDirectory(tmp_path / f).read_epochs()]
        for f in ("straight", "stopped")
    )
    assert one == other
    assert one[-1]["loss/train"] < one[0]["loss/train"]
    pd.testing.assert_frame_equal(
        *(pd.read_parquet(tmp_path / folder / "predictions.parquet") for folder in ("straight", "stopped"))
    )
