"""Figure 2: a network's layers, with their output shapes and parameters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from deepemotion.figures import style

# What fits on a page.
_MOST_ROWS = 40
_COLOURS = {"Conv": "#56B4E9", "Linear": "#CC79A7", "Pool": "#009E73", "Norm": "#D9D9D9", "ReLU": "#F0E442"}
_OTHER = "#FFFFFF"


@dataclass(frozen=True)
class Layer:
    """A layer, or several drawn as one: `shape` is its output without the batch axis, `name` its path in the model."""

    name: str
    what: str
    shape: tuple[int, ...]
    parameters: int


def layers(model: nn.Module, shape_zyx: tuple[int, int, int]) -> list[Layer]:
    """Return the innermost modules of a model of volumes in the order in which a forward pass calls them.

    The pass runs where the parameters are; on the meta device it costs nothing at any size.
    """
    called: list[Layer] = []
    counted: set[int] = set()

    def note(name: str) -> RemovableHandle:
        module = model.get_submodule(name)

        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            new = [parameter for parameter in module.parameters() if id(parameter) not in counted]
            counted.update(map(id, new))
            called.append(Layer(name, _describe(module), tuple(output.shape[1:]), sum(p.numel() for p in new)))

        return module.register_forward_hook(hook)

    innermost = [name for name, module in model.named_modules() if not any(module.children())]
    handles = [note(name) for name in innermost]
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, 1, *shape_zyx, device=device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    rest = sum(p.numel() for p in model.parameters() if id(p) not in counted)
    return [*called, *([Layer("", "parameters outside layers", (), rest)] if rest else [])]


def gather(all_layers: Sequence[Layer], most: int = _MOST_ROWS) -> list[Layer]:
    """Return at most `most` rows: neighbours whose names share a beginning are merged, as few as necessary."""
    depth = max((layer.name.count(".") for layer in all_layers), default=0)
    rows = list(all_layers)
    while len(rows) > most and depth > 0:
        grouped = groupby(all_layers, key=lambda layer: ".".join(layer.name.split(".")[:depth]))
        rows = [_together(name, list(group)) for name, group in grouped]
        depth -= 1
    return rows


@style.house_style
def network(name: str, all_layers: Sequence[Layer], shape_zyx: tuple[int, int, int], note: str = "") -> Figure:
    """Figure 2: a box per layer from the input down, as wide as the logarithm of the number of its output values."""
    total = sum(layer.parameters for layer in all_layers)
    rows = [Layer("", "input", (1, *shape_zyx), 0), *gather(all_layers)]
    height = min(0.25, 8.4 / len(rows))
    figure = Figure(figsize=(5.4, 1.0 + height * len(rows)), layout="constrained")
    axes = figure.subplots()
    values = [max(2, int(np.prod(row.shape))) for row in rows]
    widest = np.log(max(values))
    for i, (row, size) in enumerate(zip(rows, values, strict=True)):
        width = 2.6 + 2.4 * float(np.log(size) / widest)
        colour = next((colour for kind, colour in _COLOURS.items() if kind in row.what), _OTHER)
        style_box = "round,pad=0,rounding_size=0.12"
        axes.add_patch(FancyBboxPatch((-width / 2, i - 0.36), width, 0.72, boxstyle=style_box, fc=colour, ec="#444444"))
        axes.text(0, i, row.what, ha="center", va="center", fontsize=7 if len(row.what) < 32 else 6)
        if i:
            axes.plot([0, 0], [i - 0.64, i - 0.36], color="#444444", lw=0.8)
        axes.text(4.6, i, " × ".join(map(str, row.shape)), ha="center", va="center", fontsize=7)
        axes.text(8.0, i, f"{row.parameters:,}" if row.parameters else "–", ha="right", va="center", fontsize=7)
    axes.text(4.6, -0.9, "output: channels × Z × Y × X", ha="center", fontsize=7.5, weight="bold")
    axes.text(8.0, -0.9, "parameters", ha="right", fontsize=7.5, weight="bold")
    axes.set(xlim=(-2.7, 8.1), ylim=(len(rows) - 0.5, -1.4))
    axes.axis("off")
    axes.set_title(f"{name}: {len(all_layers)} layers, {total:,} parameters")
    if note:
        style.caption(figure, note)
    return figure


def _describe(module: nn.Module) -> str:
    kind = type(module).__name__
    if isinstance(module, nn.Conv3d):
        stride = "" if set(module.stride) == {1} else f", stride {_side(module.stride)}"
        return f"{kind} {_side(module.kernel_size)}, {module.out_channels}{stride}"
    if isinstance(module, nn.Linear):
        return f"{kind} {module.out_features}"
    if isinstance(module, nn.MaxPool3d | nn.AvgPool3d):
        return f"{kind} {_side(module.kernel_size)}"
    return kind


def _side(sizes: int | Sequence[int]) -> str:
    return "×".join(map(str, [sizes] * 3 if isinstance(sizes, int) else sizes))


def _together(name: str, group: list[Layer]) -> Layer:
    if len(group) == 1:
        return group[0]
    kinds = [layer.what.split()[0].rstrip(",") for layer in group]
    counted = [f"{n} {kind}" if (n := kinds.count(kind)) > 1 else kind for kind in dict.fromkeys(kinds)]
    last = name.rpartition(".")[2]
    what = f"{'part ' if last.isdecimal() else ''}{last}: {', '.join(counted)}"
    return Layer(name, what, group[-1].shape, sum(layer.parameters for layer in group))
