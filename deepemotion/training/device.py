"""Chooses the device of a training, and the precision of its forward passes."""

import torch

from deepemotion.settings.rules import refuse_device
from deepemotion.settings.schema import TrainSettings


def choose_device(settings: TrainSettings) -> torch.device:
    """Return the requested device; `auto` is the GPU if there is one. Raises UserError for one that is missing."""
    refuse_device(settings.device, torch.cuda.device_count())
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings.device)


def choose_precision(settings: TrainSettings, device: torch.device) -> torch.dtype:
    """Return the type of forward passes; `auto` is bfloat16 on a GPU that supports it, else float32."""
    if settings.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32
