"""Maps of what models look at, against models whose answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from deepemotion.models import registry
from deepemotion.samples.grid import Grid
from deepemotion.samples.samples import Samples, SampleTable
from deepemotion.samples.volumes import Held
from deepemotion.settings.schema import DataSettings, ModelSettings
from deepemotion.trained import saliency

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
    # Without a convolution there is nothing that GradCAM could weight.
    assert (methods[0] is None) == (name in ("linear", "mlp"))
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
