"""The networks behind the registry."""

import pytest
import torch
from atlas_image import settings_of
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from deepemotion.errors import UserError
from deepemotion.models import registry, sides
from deepemotion.settings.schema import ModelSettings


@pytest.mark.parametrize("name", registry.REGISTRY)
@pytest.mark.parametrize("shape", [(8, 8, 8), (12, 44, 33), (9, 17, 31)])
def test_maps_any_shape_to_logits(name, shape, tmp_path):
    model = registry.build(settings_of(name, shape, tmp_path), shape, 5)
    assert model(torch.randn(2, 1, *shape)).shape == (2, 5)


TRUE_SHAPE = (48, 175, 132)


@pytest.mark.parametrize("name", [name for name in registry.REGISTRY if name != "roi-linear"])
def test_the_true_shape_fits_without_any_memory(name):
    with torch.device("meta"):
        model = registry.build(ModelSettings(name=name), TRUE_SHAPE, 5)
        assert model(torch.empty(2, 1, *TRUE_SHAPE)).shape == (2, 5)


@pytest.mark.parametrize("name", registry.REGISTRY)
@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 17, 31)])
def test_a_single_volume_trains_every_parameter(name, shape, tmp_path):
    """The last batch of an epoch may be a single volume, whose last maps must have more than one position."""
    torch.manual_seed(0)
    model = registry.build(settings_of(name, shape, tmp_path), shape, 5).train()
    nn.functional.cross_entropy(model(torch.randn(1, 1, *shape)), torch.tensor([2])).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize("name", registry.REGISTRY)
def test_one_seed_gives_one_model(name, tmp_path):
    def outcome(seed):
        torch.manual_seed(seed)
        model = registry.build(settings_of(name, (8, 12, 9), tmp_path), (8, 12, 9), 5)
        logits = model(torch.arange(2 * 8 * 12 * 9, dtype=torch.float32).reshape(2, 1, 8, 12, 9).sin())
        logits.logsumexp(dim=1).sum().backward()
        return [logits.detach(), *(parameter.grad for parameter in model.parameters())]

    one = outcome(1)
    assert all(map(torch.equal, one, outcome(1)))
    if "linear" not in name:
        assert not torch.equal(one[0], outcome(2)[0])


@pytest.mark.parametrize(("name", "layers", "parameters"), [("resnet3d-10", 10, 14.4e6), ("resnet3d-18", 18, 33.2e6)])
def test_resnets_have_the_published_layers(name, layers, parameters):
    with torch.device("meta"):
        model = registry.build(ModelSettings(name=name), TRUE_SHAPE, 5)
    kernels = [module.kernel_size for module in model.modules() if isinstance(module, nn.Conv3d)]
    # Projections of shortcuts are not counted as layers; the fully connected one is.
    assert sum(kernel != (1, 1, 1) for kernel in kernels) + 1 == layers
    assert kernels[0] == (7, 7, 7)
    assert sum(parameter.numel() for parameter in model.parameters()) == pytest.approx(parameters, rel=0.01)


def test_c3d_has_eight_convolutions_and_three_fully_connected_layers():
    with torch.device("meta"):
        model = registry.build(ModelSettings(name="c3d"), TRUE_SHAPE, 5)
    convolutions = [module.out_channels for module in model.modules() if isinstance(module, nn.Conv3d)]
    assert convolutions == [width // 4 for width in (64, 128, 256, 256, 512, 512, 512, 512)]
    assert sum(isinstance(module, nn.Linear) for module in model.modules()) == 3


@given(shape=st.tuples(*[st.integers(1, 400)] * 3))
def test_halving_leaves_two_positions_and_agrees_with_torch(shape):
    strides = sides.strides(shape)
    for side, step, up, down in zip(
        shape, strides, sides.halved(shape, up=True), sides.halved(shape, up=False), strict=True
    ):
        assert min(side, 2) <= down <= up
        # The formulas of torch's documentation, for a padded kernel of 3 and for pooling without padding.
        assert up == (side + 2 - 3) // step + 1
        assert down == (side - step) // step + 1


def test_cnn3d_is_the_papers_network_at_the_true_shape():
    with torch.device("meta"):
        model = registry.build(ModelSettings(), (48, 175, 132), 5)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv3d)]
    assert [module.out_channels for module in convolutions] == [16, 32, 64]
    assert all(module.kernel_size == (3, 3, 3) and module.padding == (1, 1, 1) for module in convolutions)
    assert sum(isinstance(module, nn.BatchNorm3d) for module in model.modules()) == 3
    assert [module.kernel_size for module in model.modules() if isinstance(module, nn.MaxPool3d)] == [2, 2, 2]
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert [(module.in_features, module.out_features) for module in linear] == [(64 * 6 * 21 * 16, 128), (128, 5)]
    assert model(torch.empty(3, 1, 48, 175, 132, device="meta")).shape == (3, 5)


def test_pooling_before_relu_gives_the_published_order_s_values():
    torch.manual_seed(0)
    model = registry.build(ModelSettings(), (8, 16, 8), 5).eval()
    published = []
    layers = list(model.features)
    for conv, norm, pool, relu in zip(*[iter(layers)] * 4, strict=True):
        published += [conv, norm, relu, pool]
    x = torch.randn(3, 1, 8, 16, 8)
    assert torch.equal(nn.Sequential(*published)(x), model.features(x))


def test_too_small_a_volume_and_unknown_names_are_told():
    for name in ("cnn3d", "resnet3d-10", "resnet3d-18", "c3d"):
        with pytest.raises(UserError, match=rf"{name}: .* too small; each side must have at least 8 voxels"):
            registry.build(ModelSettings(name=name), (8, 8, 7), 5)
    with pytest.raises(UserError, match=r"no such model; available are cnn3d"):
        registry.build(ModelSettings(name="cnn4d"), (8, 8, 8), 5)
