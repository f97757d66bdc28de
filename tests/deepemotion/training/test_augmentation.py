"""Augmentation: what each change does to a batch, that seeds decide it, and that none of it means none of it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from deepemotion import config_files
from deepemotion.settings.schema import AugmentSettings, make_trial, read_settings
from deepemotion.training import loop
from deepemotion.training.augmentation import Augmentation, Mix
from deepemotion.training.trial_directory import TrialDirectory

SHAPE = (5, 6, 7)  # Z, Y, X
MASK = np.zeros(SHAPE, bool)
MASK[1:4, 1:5, 2:6] = True
VOXELS = torch.from_numpy(np.flatnonzero(MASK))
EVERYTHING = ("augment.shift_voxels=2", "augment.intensity=0.1", "augment.noise=0.3", "augment.mixup=0.4")


def batch(count=6, seed=0):
    """Return volumes (count, 1, Z, Y, X), zero outside the mask."""
    x = torch.zeros(count, 1, *SHAPE)
    x.view(count, -1)[:, VOXELS] = torch.randn(count, len(VOXELS), generator=torch.Generator().manual_seed(seed))
    return x


def augmentation(seed=0, epoch=1, **settings):
    return Augmentation(AugmentSettings(**settings), seed, epoch, VOXELS)


def moved(volume, shift):
    """Return the volume (Z, Y, X) moved voxel by voxel, zeros moving in."""
    out = np.zeros_like(volume)
    for index in np.ndindex(volume.shape):
        source = tuple(np.array(index) - shift)
        if all(0 <= i < side for i, side in zip(source, volume.shape, strict=True)):
            out[index] = volume[source]
    return out


def test_without_any_setting_the_batch_is_not_touched():
    x = batch()
    changed, mix = augmentation()(x)
    assert changed is x
    assert torch.equal(x, batch())
    assert mix == Mix()


@given(largest=st.integers(1, 9), seed=st.integers(0, 10_000))
def test_a_shift_moves_whole_voxels_and_wraps_nothing_around(largest, seed):
    x = batch(2, seed)
    changed, _ = augmentation(seed, shift_voxels=largest)(x)
    for before, after in zip(x[:, 0].numpy(), changed[:, 0].numpy(), strict=True):
        # The first voxel that is there after the shift says which it was: all values are different.
        there = np.argwhere(after)
        if len(there):
            shift = there[0] - np.argwhere(before == after[tuple(there[0])])[0]
            assert (abs(shift) <= largest).all()
            assert np.array_equal(after, moved(before, shift))
        else:
            assert largest >= 4, "a shift smaller than the mask's distance from the far side leaves some of it"


def test_shifts_take_every_value_along_every_axis_alike():
    x = torch.zeros(4000, 1, *SHAPE)
    x[:, :, 2, 3, 3] = 1
    changed, _ = augmentation(shift_voxels=2)(x)
    for axis, centre in enumerate((2, 3, 3)):
        counts = np.bincount(changed.nonzero()[:, 2 + axis] - centre + 2, minlength=5)
        assert counts.sum() == 4000
        assert (abs(counts - 800) < 120).all()


def test_intensity_is_one_factor_a_volume():
    x = batch(2000)
    changed, _ = augmentation(intensity=0.2)(x.clone())
    ratio = (changed / x).view(len(x), -1)[:, VOXELS]
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    assert abs(ratio[:, 0].mean() - 1) < 0.02
    assert abs(ratio[:, 0].std() - 0.2) < 0.02


def test_noise_is_inside_the_mask_only():
    x = batch(200)
    changed, _ = augmentation(noise=0.5)(x.clone())
    difference = (changed - x).view(len(x), -1)
    assert abs(difference[:, VOXELS].std() - 0.5) < 0.01
    assert not difference[:, ~torch.from_numpy(MASK.ravel())].any()


@pytest.mark.parametrize("settings", [{"intensity": 0.2}, {"noise": 0.5}, {"shift_voxels": 3}, {"mixup": 1.0}])
def test_the_background_of_the_buffer_stays_zero(settings):
    x = batch()
    augmentation(**settings)(x)
    assert not x.view(len(x), -1)[:, ~torch.from_numpy(MASK.ravel())].any()


def test_mixup_mixes_volumes_and_targets_alike():
    x, logits, label = batch(), torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])
    changed, mix = augmentation(mixup=1.0)(x)
    assert 0.5 <= mix.share <= 1
    assert sorted(mix.partner_B.tolist()) == list(range(6))
    torch.testing.assert_close(changed, mix.share * x + (1 - mix.share) * x[mix.partner_B])
    hot = torch.nn.functional.one_hot(label, 3).float()
    soft = mix.share * hot + (1 - mix.share) * hot[mix.partner_B]
    cross_entropy = torch.nn.functional.cross_entropy
    torch.testing.assert_close(mix.loss(cross_entropy, logits, label), cross_entropy(logits, soft))


def test_seed_and_epoch_decide_and_nothing_else_does():
    everything = {"shift_voxels": 1, "intensity": 0.1, "noise": 0.3, "mixup": 0.4}

    def epoch(seed, number):
        augment = augmentation(seed, number, **everything)
        return torch.stack([augment(batch())[0] for _ in range(2)])

    first = epoch(0, 1)
    torch.manual_seed(5)
    assert torch.equal(epoch(0, 1), first)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(epoch(0, 2), first)
    assert not torch.equal(epoch(1, 1), first)


def run(folder, packed, labels, *overrides, on_epoch=lambda metrics: None):
    settings = read_settings(
        config_files.find("demo"), ["train.epochs=3", "train.batch_size=16", "data.drop_overlaps=false", *overrides]
    )
    directory = TrialDirectory(folder)
    loop.train(make_trial(settings, ["01"], []), packed, labels, directory, on_epoch)
    return [{key: value for key, value in row.items() if key != "time/epoch"} for row in directory.read_epochs()]


def test_a_training_without_augmentation_is_bit_for_bit_what_it_was(tiny_packed, tiny_labels, tmp_path, monkeypatch):
    off = run(tmp_path / "off", tiny_packed, tiny_labels)
    monkeypatch.setattr(loop, "Augmentation", lambda *_: lambda x_B1ZYX: (x_B1ZYX, Mix()))
    assert run(tmp_path / "none", tiny_packed, tiny_labels) == off
    monkeypatch.undo()
    assert run(tmp_path / "on", tiny_packed, tiny_labels, *EVERYTHING) != off


def test_an_augmented_training_goes_on_exactly_where_it_was(tiny_packed, tiny_labels, tmp_path):
    def stop(metrics):
        if metrics["epoch"] == 2:
            raise KeyboardInterrupt

    straight = run(tmp_path / "straight", tiny_packed, tiny_labels, *EVERYTHING)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", tiny_packed, tiny_labels, *EVERYTHING, on_epoch=stop)
    assert run(tmp_path / "stopped", tiny_packed, tiny_labels, *EVERYTHING) == straight
