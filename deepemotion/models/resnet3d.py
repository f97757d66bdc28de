"""3D residual networks (Hara, Kataoka & Satoh 2018) with basic blocks (He et al. 2016): 10 and 18 layers."""

from torch import Tensor, nn

from deepemotion.models import sides
from deepemotion.models.sides import Shape

WIDTHS = (64, 128, 256, 512)


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions with batch norm, and a shortcut, which projects if the shape changes."""

    def __init__(self, width_in: int, width_out: int, stride: Shape) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv3d(width_in, width_out, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm3d(width_out),
            nn.ReLU(),
            nn.Conv3d(width_out, width_out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm3d(width_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if width_in != width_out:
            self.shortcut = nn.Sequential(
                nn.Conv3d(width_in, width_out, kernel_size=1, stride=stride, bias=False), nn.BatchNorm3d(width_out)
            )
        self.relu = nn.ReLU()

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        """Return the block's output (B, width_out, ...)."""
        out_BCZYX: Tensor = self.relu(self.residual(x_BCZYX) + self.shortcut(x_BCZYX))
        return out_BCZYX


class ResNet3D(nn.Module):
    """Stem (7x7x7 convolution, batch norm, max-pool), four stages of `blocks` basic blocks, mean over positions, FC.

    Widths are the published 64 to 512. Stem, pooling and the last three stages halve each side that has at least four
    positions, so that volumes of 8 voxels per side work and no side of a large one ends with a single position.
    Shortcuts project with 1x1x1 convolutions if widths change (option B of He et al.), and convolutions are
    initialised from He's normal distribution (He et al. 2015).
    """

    def __init__(self, shape: Shape, classes: int, blocks: int) -> None:
        super().__init__()
        stem_stride = sides.strides(shape)
        shape = sides.halved(shape, up=True)
        # A maximum and a ReLU commute; in this order the ReLU processes an eighth of the values.
        layers: list[nn.Module] = [
            nn.Conv3d(1, WIDTHS[0], kernel_size=7, stride=stem_stride, padding=3, bias=False),
            nn.BatchNorm3d(WIDTHS[0]),
            nn.MaxPool3d(kernel_size=3, stride=sides.strides(shape), padding=1),
            nn.ReLU(),
        ]
        shape = sides.halved(shape, up=True)
        width_in = WIDTHS[0]
        for width in WIDTHS:
            for block in range(blocks):
                stride = sides.strides(shape) if block == 0 and width != WIDTHS[0] else (1, 1, 1)
                layers.append(BasicBlock(width_in, width, stride))
                width_in = width
            if width != WIDTHS[0]:
                shape = sides.halved(shape, up=True)
        self.features = nn.Sequential(*layers)
        self.logits = nn.Linear(WIDTHS[-1], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x_B1ZYX: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        logits: Tensor = self.logits(self.features(x_B1ZYX).mean(dim=(2, 3, 4)))
        return logits


def resnet10(shape: Shape, classes: int) -> ResNet3D:
    """Return the network of 10 layers: one block per stage."""
    return ResNet3D(shape, classes, blocks=1)


def resnet18(shape: Shape, classes: int) -> ResNet3D:
    """Return the network of 18 layers: two blocks per stage."""
    return ResNet3D(shape, classes, blocks=2)
