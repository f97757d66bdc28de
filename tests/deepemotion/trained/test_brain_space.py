"""The space of a packed subject, and the figures that show maps in it."""

import nibabel as nib
import numpy as np
import pytest

from deepemotion.dataset import Dataset
from deepemotion.trained import map_figures
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.saliency import EmotionMap


def test_the_space_of_a_packed_subject(tiny_packed, tiny_dataset, tmp_path):
    space = BrainSpace.of(tiny_packed, "01")
    image = nib.load(Dataset.of_folder(tiny_dataset).bold(tiny_dataset, "01", 1))
    np.testing.assert_allclose(space.affine, image.affine)
    mean = np.asarray(image.dataobj).mean(axis=3)
    assert np.corrcoef(space.mean[space.mask], mean[space.mask])[0, 1] > 0.99
    volume = np.arange(space.mask.size, dtype=np.float32).reshape(space.mask.shape)
    space.write(tmp_path / "a.nii.gz", volume)
    back = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(back.get_fdata(), volume)
    np.testing.assert_allclose(back.affine, space.affine)
    assert back.header.get_xyzt_units()[0] == "mm"
    assert "less than an MNI brain" in space.far_from_mni()


def test_a_slab_of_a_brain_in_mni_space_is_near_it_and_a_shifted_one_is_not():
    mask = np.ones((120, 150, 40), bool)
    affine = np.diag([1.2, 1.2, 1.2, 1.0])
    affine[:3, 3] = [-72, -107, -20]
    mean = mask.astype(np.float32)
    assert BrainSpace(affine, mask, mean).far_from_mni() == ""
    shifted = affine.copy()
    shifted[1, 3] += 60
    assert "extends beyond the MNI brain" in BrainSpace(shifted, mask, mean).far_from_mni()


@pytest.mark.parametrize("signed", [True, False])
def test_brain_figures_say_n_and_the_space(tiny_packed, signed):
    space = BrainSpace.of(tiny_packed, "01")
    volume = np.random.default_rng(0).standard_normal(space.mask.shape).astype(np.float32) * space.mask
    maps = [
        EmotionMap("Grad-CAM", "LOVE", volume if signed else abs(volume), 7, float("nan")),
        EmotionMap("Grad-CAM", "FEAR", np.zeros_like(volume), 3, float("nan")),
    ]
    figure = map_figures.slices(maps, space, "A note.")
    said = [text.get_text() for text in figure.texts]
    assert "Love\nn = 7" in said
    assert "Fear\nn = 3" in said
    assert "zero everywhere" in [text.get_text() for axes in figure.axes for text in axes.texts]
    assert "A note." in figure.get_supxlabel().replace("\n", " ")
    assert "less than an MNI brain" in map_figures.glass(maps, space, "").get_supxlabel().replace("\n", " ")
