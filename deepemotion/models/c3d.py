"""C3D (Tran et al. 2015), a deeper plain network than the paper's: eight convolutions, five poolings, three FC."""

from torch import Tensor, nn

from deepemotion.models import sides
from deepemotion.models.sides import Shape

# A quarter of the published widths (64 to 512 and 4096): a volume has five times the voxels of their clips, and a
# subject has only some hundred labelled volumes.
STAGES = ((16,), (32,), (64, 64), (128, 128), (128, 128))
HIDDEN = 512
LAST_POOLED = (2, 4, 4)
DROPOUT = 0.5


class C3D(nn.Module):
    """Conv3d 3x3x3 in five stages, each with batch norm and ReLU, max-pooled after each stage; FC 512, 512, classes.

    The first four poolings halve each side that has at least four positions; the last one pools to 2 x 4 x 4, so that
    the fully connected layers are the same for any volume. Their clips' first pooling kept the time axis whole; here
    no axis is special. Batch norm, which was not known then, follows each convolution; dropout of 0.5 after each hidden
    layer is as published.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width_in = 1
        for stage, widths in enumerate(STAGES):
            for width in widths:
                layers += [nn.Conv3d(width_in, width, kernel_size=3, padding=1), nn.BatchNorm3d(width), nn.ReLU()]
                width_in = width
            # A maximum and a ReLU commute; in this order the ReLU processes an eighth of the values.
            relu = layers.pop()
            last = stage == len(STAGES) - 1
            layers += [nn.AdaptiveMaxPool3d(LAST_POOLED) if last else nn.MaxPool3d(sides.strides(shape)), relu]
            shape = sides.halved(shape, up=False)
        z, y, x = LAST_POOLED
        self.features = nn.Sequential(*layers)
        self.hidden = nn.Sequential(
            nn.Flatten(),
            *(nn.Linear(width_in * z * y * x, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)),
            *(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT)),
        )
        self.logits = nn.Linear(HIDDEN, classes)

    def forward(self, x_B1ZYX: Tensor) -> Tensor:
        """Return logits (B, classes)."""
        logits: Tensor = self.logits(self.hidden(self.features(x_B1ZYX)))
        return logits
