"""Estimated memory against what a training really keeps."""

import numpy as np
import pytest
import torch
from atlas_image import settings_of
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.models import registry
from deepemotion.samples.grid import Grid, bounding_box
from deepemotion.settings.schema import DataSettings, TrialSettings
from deepemotion.training.memory import PackedSize, trial_bytes


@pytest.mark.parametrize("name", registry.REGISTRY)
@pytest.mark.parametrize("shape", [(48, 176, 136), (16, 48, 40)])
def test_the_registry_states_the_parameters(name, shape, tmp_path):
    with torch.device("meta"):
        model = registry.build(settings_of(name, shape, tmp_path), shape, 5)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    entry = registry.REGISTRY[name]
    # Fewer than the 1000 of a few regions' weights are nothing beside a worker's memory.
    stated = entry.parameters + entry.parameters_per_voxel * np.prod(shape)
    assert stated == pytest.approx(parameters, rel=0.05, abs=1000)


@pytest.mark.parametrize("name", registry.REGISTRY)
def test_the_registry_states_what_a_step_keeps(name, tmp_path):
    shape = (16, 48, 40)
    model = registry.build(settings_of(name, shape, tmp_path), shape, 5)
    kept = 0

    def count(tensor):
        nonlocal kept
        # Weights are kept too, but not once a sample.
        if tensor.shape[:1] == (4,):
            kept += tensor.numel() * tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        model(torch.randn(4, 1, *shape))
    a_voxel = kept / (4 * 4 * 16 * 48 * 40)
    # Between what the graph holds and twice that: gradients of the largest maps live beside it, and the batch itself.
    assert a_voxel < registry.REGISTRY[name].activations_per_voxel < 2.5 * (a_voxel + 1)


def test_each_part_is_counted_once():
    settings = TrialSettings.model_validate({"data": {"normalisation": "none"}, "train": {"batch_size": 1}})
    known = {"size": PackedSize((10, 10, 10), (8, 9, 10), 500), "films": [900, 1000], "runs": 8}
    more = trial_bytes(settings, volumes=1000, **known) - trial_bytes(settings, volumes=0, **known)
    assert more == 2 * 1000 * 500
    zscored = settings.model_copy(update={"data": settings.data.model_copy(update={"normalisation": "zscore"})})
    assert trial_bytes(zscored, volumes=0, **known) - trial_bytes(settings, volumes=0, **known) == 4 * 2 * 8 * 500


def test_alignment_needs_a_film_and_the_gram_matrices_of_all_subjects():
    size = PackedSize((132, 175, 48), (90, 130, 48), 440_000)

    def needed(method, films, batch=1):
        sections = {"align": {"method": method}, "train": {"batch_size": batch}, "model": {"name": "linear"}}
        sections["data"] = {"normalisation": "none"}
        return trial_bytes(TrialSettings.model_validate(sections), size, volumes=800, films=films, runs=8)

    without = needed("none", [3600] * 19)
    assert needed("srm", [3600]) == without
    of_two, of_all = needed("srm", [3600] * 2), needed("srm", [3600] * 19)
    assert 2 * 3600 * 440_000 < of_two - without < 2 * 2 * 3600 * 440_000
    assert of_all - of_two == 17 * 8 * 3600**2
    # Alignment is over before the first step.
    assert needed("srm", [3600] * 2, batch=4000) == needed("none", [3600] * 2, batch=4000)


@given(st.integers(0, 2**32), st.booleans(), st.sampled_from([1, 2]))
def test_no_mask_makes_more_voxels_than_its_box_promises(seed, crop, downsample):
    rng = np.random.default_rng(seed)
    mask = rng.random(rng.integers(1, 9, 3)) < rng.choice([0.05, 0.5, 1])
    mask.flat[rng.integers(mask.size)] = True
    low, high = bounding_box(mask)
    size = PackedSize(mask.shape, tuple(np.subtract(high, low).tolist()), int(mask.sum()))
    settings = DataSettings(crop=crop, downsample=downsample)
    grid = Grid.of(mask, settings)
    shape, voxels = size.dense(settings)
    assert np.prod(grid.shape) <= np.prod(shape)
    assert len(grid.voxels) <= voxels
    if downsample == 1:
        assert (grid.shape, len(grid.voxels)) == (shape, voxels)
