"""The space of a packed subject, and the figures that show maps in it."""

import warnings

import nibabel as nib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from deepemotion.dataset.description import Dataset
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


MASK = np.zeros((12, 10, 8), bool)
MASK[2:-2, 1:-1, 1:-1] = True
PLACE = np.array([[-3.0, 0, 0, 20], [0, 3, 0, -15], [0, 0, 4, -10], [0, 0, 0, 1]])


def stored(volume, axes, flipped):
    """Return a volume and its affine as they are with the axes stored in another order and direction."""
    affine = PLACE[:, [*axes, 3]].copy()
    volume = volume.transpose(axes)
    for axis in flipped:
        affine[:, 3] += affine[:, axis] * (volume.shape[axis] - 1)
        affine[:, axis] *= -1
        volume = np.flip(volume, axis)
    return np.ascontiguousarray(volume), affine


def pixels(draw, axes, flipped):
    rng = np.random.default_rng(0)
    volumes = rng.standard_normal((2, *MASK.shape)).astype(np.float32) * MASK
    (mask, affine), (mean, _), (values, _) = (stored(volume, axes, flipped) for volume in (MASK, *volumes))
    figure = draw([EmotionMap("Grad-CAM", "LOVE", values, 3, float("nan"))], BrainSpace(affine, mask, mean), "")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).copy(), [text.get_text() for axes in figure.axes for text in axes.texts]


@pytest.mark.parametrize(("axes", "flipped"), [((1, 2, 0), (0,)), ((2, 0, 1), (1, 2)), ((0, 2, 1), ())])
@pytest.mark.parametrize("draw", [map_figures.slices, map_figures.glass])
def test_figures_of_a_brain_do_not_depend_on_how_its_volumes_are_stored(draw, axes, flipped):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected, said = pixels(draw, (0, 1, 2), ())
        other, _ = pixels(draw, axes, flipped)
    np.testing.assert_array_equal(other, expected)
    if draw is map_figures.slices:
        heights = [float(text.removeprefix("z=")) for text in said if text.startswith("z=")]
        # Voxels 1 to 6 along z are in the mask.
        np.testing.assert_allclose(heights, np.linspace(-6, 14, 9)[1:-1], atol=0.051)


def test_a_mask_of_one_slice_is_drawn():
    mask = np.zeros_like(MASK)
    mask[:, :, 4] = True
    space = BrainSpace(PLACE, mask, mask.astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = map_figures.slices([EmotionMap("Grad-CAM", "LOVE", mask * np.float32(2), 3, float("nan"))], space, "")
    assert "z=6.0" in [text.get_text() for axes in figure.axes for text in axes.texts]
