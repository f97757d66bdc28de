"""Strides with which networks designed for one input size halve the sides of any volume."""

Shape = tuple[int, int, int]


def strides(shape: Shape) -> Shape:
    """Return 2 for each side that can be halved and keep two positions, else 1.

    The sides of a volume differ by a factor of four, and the shortest would otherwise vanish long before the last
    stage; and batch normalisation cannot train on a single position of a single volume.
    """
    z, y, x = (2 if side >= 4 else 1 for side in shape)
    return z, y, x


def halved(shape: Shape, *, up: bool) -> Shape:
    """Return the shape after these strides; padded convolutions round `up`, pooling rounds down."""
    z, y, x = ((side + (step - 1 if up else 0)) // step for side, step in zip(shape, strides(shape), strict=True))
    return z, y, x
