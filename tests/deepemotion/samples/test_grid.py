"""Grids cut out of the packed one, or made of its blocks: where a voxel goes, and how it comes back."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.samples.grid import Grid
from deepemotion.settings.schema import DataSettings


@st.composite
def grids(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    mask = rng.random(rng.integers(1, 9, 3)) < draw(st.sampled_from([0.05, 0.5, 1]))
    mask.flat[rng.integers(mask.size)] = True
    settings = DataSettings(crop=draw(st.booleans()), downsample=draw(st.sampled_from([1, 2])))
    return Grid.of(mask, settings)


@given(grids())
def test_a_voxel_s_value_comes_back_to_all_packed_voxels_that_made_it(grid):
    values = np.arange(1, 1 + len(grid.voxels), dtype=np.float32)
    volume = grid.to_packed(values)
    assert volume.shape == grid.mask.shape
    assert np.array_equal(volume > 0, grid.mask)
    dense = np.zeros(np.prod(grid.shape), np.float32)
    dense[grid.voxels] = values
    dense = dense.reshape(grid.shape, order="F")
    for packed in np.argwhere(grid.mask):
        own = packed // grid.step - np.array(grid.origin)
        assert volume[tuple(packed)] == dense[tuple(own)]


@given(grids())
def test_voxels_are_in_the_file_s_order_and_lie_in_the_shape(grid):
    assert (np.diff(grid.voxels) > 0).all()
    assert 0 <= grid.voxels[0] <= grid.voxels[-1] < np.prod(grid.shape)
    assert np.array_equal(np.unique(grid.block), np.arange(len(grid.voxels)))


@given(grids())
def test_a_cut_grid_has_a_voxel_on_each_of_its_sides(grid):
    cut = Grid.of(grid.mask, DataSettings(crop=True, downsample=grid.step))
    used = np.zeros(np.prod(cut.shape), bool)
    used[cut.voxels] = True
    used = used.reshape(cut.shape, order="F")
    for axis in range(3):
        assert used.take(0, axis).any()
        assert used.take(-1, axis).any()
