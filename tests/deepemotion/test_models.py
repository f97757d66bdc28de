"""The networks behind the registry."""

import pytest
import torch
from torch import nn

from deepemotion import models
from deepemotion.errors import UserError


@pytest.mark.parametrize("name", models.REGISTRY)
@pytest.mark.parametrize("shape", [(8, 8, 8), (12, 44, 33), (9, 17, 31)])
def test_maps_any_shape_to_logits(name, shape):
    model = models.build(name, shape, 5)
    assert model(torch.randn(2, 1, *shape)).shape == (2, 5)


def test_cnn3d_is_the_papers_network_at_the_true_shape():
    with torch.device("meta"):
        model = models.build("cnn3d", (48, 175, 132), 5)
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
    model = models.build("cnn3d", (8, 16, 8), 5).eval()
    published = []
    layers = list(model.features)
    for conv, norm, pool, relu in zip(*[iter(layers)] * 4, strict=True):
        published += [conv, norm, relu, pool]
    x = torch.randn(3, 1, 8, 16, 8)
    assert torch.equal(nn.Sequential(*published)(x), model.features(x))


def test_too_small_a_volume_and_unknown_names_are_told():
    with pytest.raises(UserError, match="too small"):
        models.build("cnn3d", (8, 8, 7), 5)
    with pytest.raises(UserError, match=r"no such model; there are cnn3d"):
        models.build("cnn4d", (8, 8, 8), 5)
