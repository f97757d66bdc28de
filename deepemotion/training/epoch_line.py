"""A line about an epoch, the same in a trial's log and on a terminal."""

from collections.abc import Mapping


def epoch_line(metrics: Mapping[str, float], epochs: int) -> str:
    """Return a line from an epoch's metrics (`loop.train`), of a training that takes so many epochs."""
    return (
        f"epoch {metrics['epoch']:3.0f}/{epochs}  loss {metrics['loss/train']:.4f}"
        f"  train {100 * metrics['accuracy/train']:.1f} %  validation {100 * metrics['accuracy/validation']:.1f} %"
        f"  {metrics['time/epoch']:.1f} s"
    )
