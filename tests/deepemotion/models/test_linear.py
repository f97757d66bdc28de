"""Linear models: logistic regression as scikit-learn knows it, on voxels and on the regions of an atlas."""

import nibabel
import numpy as np
import pytest
import torch
from atlas_image import slabs, write_atlas
from sklearn.linear_model import LogisticRegression

from deepemotion.errors import UserError
from deepemotion.models import registry
from deepemotion.samples import atlas
from deepemotion.settings.schema import ModelSettings, TrainSettings
from deepemotion.subject_file.reader import SubjectFile, subject_path
from deepemotion.training import optimisers

SHAPE = (4, 8, 5)  # Z, Y, X
BATCH = 24
DECAY = 0.1


pytestmark = pytest.mark.usefixtures("one_thread")


def volumes(count, seed):
    """Return raw-looking volumes (N, 1, Z, Y, X) with slices of background, and labels (N,) of three classes."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 3, count)
    anatomy = 10_000 + 2_000 * np.random.default_rng(0).standard_normal(SHAPE)
    networks = np.random.default_rng(1).standard_normal((3, *SHAPE))
    x = anatomy + 30 * networks[label] + 100 * rng.standard_normal((count, *SHAPE))
    x[:, 0] = 0
    return torch.from_numpy(x[:, None].astype(np.float32)), torch.from_numpy(label)


def fitted(settings, x, label, epochs=80):
    """Train as the training loop does: shuffled batches, the optimiser of the settings."""
    model = registry.build(settings, SHAPE, 3)
    torch.manual_seed(0)
    said = model.standardise(x.split(BATCH))
    optimiser = optimisers.build(model, TrainSettings(learning_rate=5e-3, weight_decay=DECAY))
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = torch.nn.functional.cross_entropy(model(x[rows]), label[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model, said


def reference(features, label):
    """Fit scikit-learn's model to the same features, standardised and scaled as the model's docstring says."""
    mean, sd = features.mean(axis=0), features.std(axis=0)
    varies = sd > 0
    scale = np.where(varies, sd, 1) * np.sqrt(varies.sum())
    return LogisticRegression(C=1 / (DECAY * len(label)), max_iter=5000), (features - mean) / scale


def means(x, region_XYZ):
    region = region_XYZ.T.ravel()
    flat = x.flatten(1).double().numpy()
    return np.stack([flat[:, region == i].mean(axis=1) for i in np.unique(region[region > 0])], axis=1)


@pytest.mark.parametrize("kind", ["linear", "roi-linear"])
def test_it_is_scikit_learns_logistic_regression(kind, tmp_path):
    x, label = volumes(480, seed=2)
    region = slabs(SHAPE[::-1], 6)
    settings = ModelSettings(name=kind, atlas=str(write_atlas(tmp_path / "atlas.nii", region)))
    model, _ = fitted(settings, x, label)
    features = x.flatten(1).double().numpy() if kind == "linear" else means(x, region)
    theirs, z = reference(features, label.numpy())
    theirs.fit(z, label.numpy())
    with torch.no_grad():
        ours = model(x).double().softmax(dim=1).numpy()
    wanted = theirs.predict_proba(z)
    assert (ours.argmax(axis=1) == wanted.argmax(axis=1)).mean() > 0.97
    ours_loss, wanted_loss = (-np.log(p[np.arange(len(p)), label]).mean() for p in (ours, wanted))
    assert ours_loss == pytest.approx(wanted_loss, rel=0.02)
    np.testing.assert_allclose(ours, wanted, atol=0.05)


def test_units_do_not_matter():
    x, label = volumes(96, seed=3)
    one, said = fitted(ModelSettings(name="linear"), x, label, epochs=3)
    other, _ = fitted(ModelSettings(name="linear"), 1e-3 * x + 5, label, epochs=3)
    assert said == f"{3 * 8 * 5} of {4 * 8 * 5} voxels vary"
    with torch.no_grad():
        torch.testing.assert_close(one(x), other(1e-3 * x + 5), rtol=1e-3, atol=1e-3)


def test_voxels_outside_the_mask_get_no_weight():
    x, label = volumes(96, seed=3)
    model, _ = fitted(ModelSettings(name="linear"), x, label, epochs=3)
    weight = model.logits.weight.view(3, *SHAPE)
    assert not weight[:, 0].any()
    assert weight[:, 1:].all()
    moved = x.clone()
    moved[:, :, 0] = 1e6
    assert torch.equal(model(moved), model(x))


def test_a_region_outside_the_mask_is_left_out_and_named(tmp_path):
    x, label = volumes(96, seed=4)
    region = slabs(SHAPE[::-1], 3)
    region[1:3, 1:3, 0] = 17
    model, said = fitted(
        ModelSettings(name="roi-linear", atlas=str(write_atlas(tmp_path / "a.nii", region))), x, label, epochs=2
    )
    assert said == "3 of 4 regions; left out, since no voxel in the mask varies: 17"
    assert not model.logits.weight[:, 3].any()
    assert model.logits.weight[:, :3].all()
    # What lies outside the mask scales a region's mean, and standardising undoes that.
    masked = region.copy()
    masked[:, :, 0] = 0
    inside, _ = fitted(
        ModelSettings(name="roi-linear", atlas=str(write_atlas(tmp_path / "b.nii", masked))), x, label, epochs=2
    )
    torch.testing.assert_close(model(x), inside(x), rtol=1e-3, atol=1e-3)


def test_a_checkpoint_brings_its_standardisation(tmp_path):
    x, label = volumes(96, seed=5)
    settings = ModelSettings(name="roi-linear", atlas=str(write_atlas(tmp_path / "a.nii", slabs(SHAPE[::-1], 5))))
    model, _ = fitted(settings, x, label, epochs=2)
    again = registry.build(settings, SHAPE, 3)
    again.load_state_dict(model.state_dict())
    assert torch.equal(again(x), model(x))


def test_an_atlas_whose_labels_were_stored_as_scaled_integers_is_read(tmp_path):
    labels = slabs(SHAPE[::-1], 5)
    image = nibabel.Nifti1Image(labels.astype(np.float64), np.eye(4))
    image.set_data_dtype(np.int16)
    path = tmp_path / "rescaled.nii"
    nibabel.save(image, path)
    assert (nibabel.load(path).get_fdata() != labels).any()
    np.testing.assert_array_equal(atlas.read(path, SHAPE), labels.ravel(order="F"))
    nibabel.save(nibabel.Nifti1Image(labels * np.float32(0.9), np.eye(4)), path)
    with pytest.raises(UserError, match=r"not whole numbers from 0 up; .* saved as integers"):
        atlas.read(path, SHAPE)


def test_atlases_that_do_not_fit_are_told(tmp_path, tiny_packed):
    def message(region, affine=None):
        path = write_atlas(tmp_path / "atlas.nii", region, affine)
        with pytest.raises(UserError) as error:
            registry.build(ModelSettings(name="roi-linear", atlas=str(path)), SHAPE, 3)
        assert str(path) in str(error.value)
        return str(error.value)

    right = slabs(SHAPE[::-1], 3)
    assert "shape (5, 8, 6), but the data has (5, 8, 4)" in message(slabs((5, 8, 6), 3))
    assert "2 volumes" in message(np.stack([right, right], axis=-1))
    assert "not whole numbers from 0 up" in message(-right)
    assert "0 everywhere" in message(0 * right)
    with pytest.raises(UserError, match=r"nowhere\.nii"):
        registry.build(ModelSettings(name="roi-linear", atlas=str(tmp_path / "nowhere.nii")), SHAPE, 3)
    with pytest.raises(UserError, match="cannot read the atlas"):
        atlas.checksum(tmp_path / "nowhere.nii")
    with pytest.raises(UserError, match=r"needs model\.atlas"):
        registry.build(ModelSettings(name="roi-linear"), SHAPE, 3)
    with SubjectFile(subject_path(tiny_packed, "01")) as file:
        fits = write_atlas(tmp_path / "fits.nii", slabs(file.shape, 3), file.affine)
        atlas.require_grid(fits, file)
        elsewhere = file.affine.copy()
        elsewhere[0, 3] += 1
        with pytest.raises(UserError, match="another affine"):
            atlas.require_grid(write_atlas(tmp_path / "elsewhere.nii", slabs(file.shape, 3), elsewhere), file)
        image = nibabel.load(fits)
        image.header["sform_code"] = image.header["qform_code"] = 0
        unplaced = tmp_path / "unplaced.nii"
        unplaced.write_bytes(image.header.binaryblock + fits.read_bytes()[348:])
        with pytest.raises(UserError, match=r"no affine .* save it with that affine"):
            atlas.require_grid(unplaced, file)


def test_volumes_that_never_change_cannot_be_trained_on(tmp_path):
    model = registry.build(ModelSettings(name="linear"), SHAPE, 3)
    with pytest.raises(UserError, match="none of the 160 features varies"):
        model.standardise([torch.ones(3, 1, *SHAPE)])
