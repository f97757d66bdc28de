"""Maps of what models look at: against models whose answer is known, and against planted networks."""

import nibabel as nib
import numpy as np
import pytest
import torch
from torch import nn

from deepemotion.config_files import find
from deepemotion.dataset import Dataset
from deepemotion.errors import UserError
from deepemotion.models import registry
from deepemotion.samples.grid import Grid
from deepemotion.samples.samples import Samples, SampleTable
from deepemotion.samples.volumes import Held
from deepemotion.settings.schema import DataSettings, ModelSettings, make_trial, read_settings
from deepemotion.trained import explanation, map_figures, saliency
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.explanation import Options
from deepemotion.trained.saliency import EmotionMap
from deepemotion.trained.trained import load_trained
from deepemotion.training.loop import train
from deepemotion.training.trial_directory import TrialDirectory

SHAPE = (4, 5, 6)  # X, Y, Z


@pytest.fixture
def samples():
    """Six volumes of noise in a mask of 100 of 120 voxels."""
    voxels = torch.arange(120)[torch.arange(120) % 6 != 0]
    count = 6
    table = SampleTable(
        subject=np.full(count, "01"),
        run=np.ones(count, np.int8),
        index_in_run=np.arange(count),
        movie_time=2.0 * np.arange(count),
        true_time=2.0 * np.arange(count),
        label=np.arange(count) % 2,
        soft=np.zeros((count, 2), np.float32),
    )
    values = torch.randint(-50, 50, (count, 100), generator=torch.Generator().manual_seed(0), dtype=torch.int16)
    scale = torch.tensor([[1.0, 0.0]]).expand(count, 2)
    zero = torch.zeros(count)
    mask = (np.arange(120) % 6 != 0).reshape(SHAPE, order="F")
    grid = Grid.of(mask, DataSettings())
    return Samples(table, ("A", "B"), grid, voxels, Held(values), scale, zero.long(), None, None, None, zero)


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = nn.Linear(120, 2, bias=False)

    def forward(self, x):
        return self.logits(x.flatten(1))


def test_integrated_gradients_of_a_linear_model_are_weight_times_difference(samples):
    model = Linear()
    baseline = saliency.mean_volume(samples, np.arange(6))
    rows = np.array([1, 3])
    found = saliency.average(samples, rows, "ig", saliency.integrated_gradients(model, baseline, 3), 1)
    dense = samples.dense(torch.arange(6)).clone()
    torch.testing.assert_close(baseline, dense.mean(dim=0, keepdim=True))
    difference = (dense[rows].mean(dim=0) - baseline[0]).flatten()
    expected = (model.logits.weight[1] * difference).detach().numpy().reshape(SHAPE, order="F")
    np.testing.assert_allclose(found.volume, expected, atol=1e-4)
    assert (found.emotion, found.n) == ("B", 2)
    assert found.error < 1e-4


def test_integrated_gradients_are_complete(samples):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv3d(1, 4, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 120, 2)).eval()
    baseline = torch.zeros(1, 1, 6, 5, 4)
    method = saliency.integrated_gradients(model, baseline, 64)
    x = samples.dense(torch.tensor([2])).clone() / 50
    attributed, error = method(x, 0)
    with torch.no_grad():
        expected = model(x)[0, 0] - model(baseline)[0, 0]
    assert float(attributed.sum()) == pytest.approx(float(expected), abs=0.05 * abs(float(expected)) + 1e-3)
    assert error < 0.1


def test_grad_cam_follows_the_last_convolution(samples):
    model = nn.Sequential(nn.Conv3d(1, 1, 1, bias=False), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(1, 2, False))
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[3].weight.copy_(torch.tensor([[2.0], [-1.0]]))
    x = samples.dense(torch.tensor([0])).clone()
    attributed, error = saliency.grad_cam(model)(x, 0)
    # The channel's weight is the mean gradient, 2 / 120 of a pooled mean; what speaks against is cut off.
    torch.testing.assert_close(attributed.detach(), (2 / 120 * x).relu())
    assert np.isnan(error)
    assert saliency.grad_cam(Linear()) is None


@pytest.mark.parametrize("name", [name for name, entry in registry.REGISTRY.items() if not entry.needs_atlas])
def test_every_model_can_be_mapped(name):
    shape = (16, 18, 20)
    model = registry.build(ModelSettings(name=name), shape, 3).eval()
    x = torch.randn(1, 1, *shape)
    methods = [saliency.grad_cam(model), saliency.integrated_gradients(model, torch.zeros_like(x), 2)]
    assert (methods[0] is None) == (name == "linear")
    for method in filter(None, methods):
        attributed, _ = method(x, 1)
        assert attributed.shape == x.shape
        assert torch.isfinite(attributed).all()


def test_maps_are_zero_outside_the_mask_and_no_volumes_are_no_map(samples):
    method = saliency.integrated_gradients(Linear(), torch.ones(1, 1, 6, 5, 4), 2)
    found = saliency.average(samples, np.array([0]), "ig", method, 0).volume
    assert (found.ravel(order="F")[::6] == 0).all()
    assert np.count_nonzero(found) > 90
    with pytest.raises(ValueError, match="no volume"):
        saliency.average(samples, np.array([], dtype=np.int64), "ig", method, 0)


def test_overlap_is_one_for_the_network_itself_and_a_half_for_chance():
    rng = np.random.default_rng(0)
    network = rng.random((10, 10, 10)).astype(np.float32) ** 4
    inside = np.ones(network.shape, bool)
    assert saliency.overlap(-network, network, inside) == 1
    assert saliency.overlap(rng.random(network.shape, np.float32), network, inside) == pytest.approx(0.5, abs=0.06)
    assert saliency.overlap(np.ones_like(network), network, inside) == 0.5
    assert np.isnan(saliency.overlap(network, np.ones_like(network), inside))


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
    assert "sticks out of the MNI brain" in BrainSpace(shifted, mask, mean).far_from_mni()


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


def trained_on(folder, packed, labels, *changes, subjects=("01",)):
    changes = ["data.drop_overlaps=false", *changes]
    trial = make_trial(read_settings(find("demo"), changes), list(subjects), [])
    directory = TrialDirectory(folder)
    train(trial, packed, labels, directory, lambda metrics: None)
    return directory


def test_what_cannot_be_explained_is_told(tiny_packed, tiny_labels, tmp_path):
    with pytest.raises(UserError, match=r"no training here"):
        load_trained(TrialDirectory(tmp_path), tiny_packed, tiny_labels)
    directory = trained_on(tmp_path / "t", tiny_packed, tiny_labels, "model.name=linear", "train.epochs=1")
    other = tmp_path / "labels.tsv"
    other.write_text(tiny_labels.read_text().replace("FEAR", "DREAD"))
    with pytest.raises(UserError, match="labels is not what it was trained on"):
        load_trained(directory, tiny_packed, other)
    directory.predictions.write_bytes(directory.predictions.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"predictions\.parquet: cannot be read .* train again"):
        load_trained(directory, tiny_packed, tiny_labels)
    directory.result.unlink()
    with pytest.raises(UserError, match="not done"):
        load_trained(directory, tiny_packed, tiny_labels)


ALIGNED = ("align.method=procrustes", "align.features=5", "split.protocol=run", "split.fold=2")


@pytest.mark.parametrize(("subjects", "changes"), [(["01"], ("data.permutation=1",)), (["01", "02"], ALIGNED)])
def test_a_trained_model_answers_as_it_did_at_the_end(tiny_packed, tiny_labels, tmp_path, subjects, changes):
    directory = trained_on(tmp_path / "t", tiny_packed, tiny_labels, "train.epochs=1", *changes, subjects=subjects)
    trained = load_trained(directory, tiny_packed, tiny_labels)
    with torch.inference_mode():
        probability = trained.model(trained.samples.dense(torch.arange(len(trained.samples)))).softmax(dim=1).numpy()
    columns = [f"p_{name}" for name in trained.samples.classes]
    np.testing.assert_allclose(probability, trained.predictions[columns], atol=1e-5)
    # Rows follow the labels trained on, which may be permuted.
    rows = trained.rows("LOVE", ("train", "validation"))
    assert set(trained.predictions["label"].iloc[rows]) == {"LOVE"}
    assert trained.beats_labels in (True, False)


@pytest.mark.parametrize("change", ["data.crop=true", "data.downsample=2"])
def test_maps_of_other_grids_come_out_on_the_packed_one(tiny_packed, tiny_labels, tmp_path, change):
    directory = trained_on(tmp_path / "t", tiny_packed, tiny_labels, change, "model.name=linear", "train.epochs=1")
    trained = load_trained(directory, tiny_packed, tiny_labels)
    space = BrainSpace.of(tiny_packed, "01")
    assert trained.samples.shape != space.mask.shape
    for name, maps in explanation.maps(trained, Options(steps=2, most=1)):
        for one in maps:
            assert one.volume.shape == space.mask.shape
            assert not one.volume[~space.mask].any()
            if name == saliency.INTEGRATED_GRADIENTS:
                assert one.volume[space.mask].any()
    dense = trained.samples.dense(torch.tensor([0]))[0, 0].numpy()
    values = dense.ravel()[trained.samples.grid.voxels]
    back = trained.samples.grid.to_packed(values)
    x, y, z = np.argwhere(space.mask)[7]
    step, origin = trained.samples.grid.step, trained.samples.grid.origin
    assert back[x, y, z] == dense[z // step - origin[2], y // step - origin[1], x // step - origin[0]]


@pytest.mark.slow
def test_maps_find_the_planted_networks_and_those_of_permuted_labels_do_not(
    tiny_dataset, tiny_packed, tiny_labels, tmp_path
):
    found = {}
    for model in ("cnn3d", "linear"):
        for permutation in (0, 1):
            changes = [f"model.name={model}", "train.epochs=15", f"data.permutation={permutation}"]
            directory = trained_on(tmp_path / f"{model}{permutation}", tiny_packed, tiny_labels, *changes)
            trained = load_trained(directory, tiny_packed, tiny_labels)
            options = Options(steps=8, all_volumes=True)
            for name, maps in explanation.maps(trained, options):
                overlaps = [explanation.overlap(one, trained, tiny_dataset / "truth") for one in maps]
                found[model, name, permutation] = float(np.mean(overlaps))
    for model in ("cnn3d", "linear"):
        true, permuted = (found[model, saliency.INTEGRATED_GRADIENTS, k] for k in (0, 1))
        assert true > permuted + 0.05, found
        assert true > 0.6, found
