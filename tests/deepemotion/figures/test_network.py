"""Figure 2, the network: every layer at its true size."""

import torch
from drawn_figures import words
from torch import nn

from deepemotion.figures import network
from deepemotion.models import registry
from deepemotion.settings.schema import ModelSettings


def test_figure_2_tells_every_layer_of_the_papers_network_at_its_true_size():
    shape = (48, 175, 132)
    with torch.device("meta"):
        model = registry.build(ModelSettings(name="cnn3d"), shape, 5)
    found = network.layers(model, shape)
    assert sum(layer.parameters for layer in found) == sum(p.numel() for p in model.parameters())
    assert found[0] == network.Layer("features.0", "Conv3d 3×3×3, 16", (16, *shape), 16 * 27 + 16)
    assert found[-1].shape == (5,)
    assert [layer.shape for layer in found if layer.what.startswith("MaxPool3d")][-1] == (64, 6, 21, 16)
    said = words(network.network("cnn3d", found, shape))
    assert f"cnn3d: 16 layers, {sum(layer.parameters for layer in found):,} parameters" in said
    assert "16 × 48 × 175 × 132" in said


def test_layers_leave_the_model_as_it_was_and_count_what_is_shared_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(8, 8)
            self.scale = nn.Parameter(torch.ones(3))

        def forward(self, x):
            return self.layer(self.layer(x.flatten(1)))

    model = Twice().train()
    found = network.layers(model, (2, 2, 2))
    assert [(layer.what, layer.parameters) for layer in found] == [
        *(("Linear 8", 72), ("Linear 8", 0)),
        ("parameters outside layers", 3),
    ]
    assert model.training
    assert not model.layer._forward_hooks


def test_a_deep_network_is_gathered_into_its_parts():
    deep = nn.Sequential(nn.Flatten(), *[nn.Sequential(nn.Linear(8, 8), nn.ReLU()) for _ in range(20)])
    found = network.layers(deep, (2, 2, 2))
    rows = network.gather(found, most=26)
    assert len(found) == 41
    assert len(rows) == 21
    assert rows[1].what == "part 1: Linear, ReLU"
    assert sum(row.parameters for row in rows) == sum(layer.parameters for layer in found)
