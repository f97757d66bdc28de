"""The paper's network: three convolutional blocks and two fully connected layers (Lunger et al., figure 2)."""

import math

from torch import Tensor, nn

WIDTHS = (16, 32, 64)
HIDDEN = 128


class CNN3D(nn.Module):
    """Conv3d 3x3x3 (16, 32, 64), each with batch norm, max-pool of 2 and ReLU; FC 128; FC to the classes.

    The paper names ReLU before the pooling. Both orders give the same values, since a maximum and a monotone function
    commute; in this one the ReLU processes an eighth of the values.
    """

    def __init__(self, shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = []
        for width_in, width_out in zip((1, *WIDTHS[:-1]), WIDTHS, strict=True):
            blocks += [
                nn.Conv3d(width_in, width_out, kernel_size=3, padding=1),
                nn.BatchNorm3d(width_out),
                nn.MaxPool3d(2),
                nn.ReLU(),
            ]
        pooled = math.prod(side // 2 ** len(WIDTHS) for side in shape)
        self.features = nn.Sequential(*blocks)
        self.hidden = nn.Sequential(nn.Flatten(), nn.Linear(WIDTHS[-1] * pooled, HIDDEN), nn.ReLU())
        self.logits = nn.Linear(HIDDEN, classes)

    def forward(self, x_B1ZYX: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        logits: Tensor = self.logits(self.hidden(self.features(x_B1ZYX)))
        return logits
