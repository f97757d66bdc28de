"""The optimiser of a training: Adam, with the kind of weight decay that suits the model."""

import inspect

import torch
from torch import nn

from deepemotion.models.linear import LinearModel
from deepemotion.settings.schema import TrainSettings


def build(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """Return Adam over the model's parameters, at the learning rate of the settings.

    Without weight decay it is plain Adam. With a decay d, networks get AdamW's decoupled one, weight -= rate * d *
    weight at each step, since Adam would divide a penalty's gradient by the gradients' size and so hardly shrink the
    weights with large gradients (Loshchilov & Hutter, ICLR 2019). Linear models get d / 2 * |weight|^2 added to the
    loss: its minimum is that of a penalised regression, which AdamW's is not. Biases and the scales and shifts of
    normalisations (vectors) never decay.
    """
    decay, rate = settings.weight_decay, settings.learning_rate
    if decay == 0:
        return _Adam(model.parameters(), lr=rate, fused=True)
    groups = [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return _Adam(groups, lr=rate, fused=True, decoupled_weight_decay=not isinstance(model, LinearModel))


class _Adam(torch.optim.Adam):
    """torch's Adam without the wrappers that import torch's compiler: it takes a second and 90 MB, and is not used."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
