"""The least that training a network can cost: forward, backward and step on a tensor that is already there."""

import time

import torch
from torch import nn

from benchmarks.data import CLASSES, Shape
from deepemotion.models.cnn3d import CNN3D
from deepemotion.settings.schema import TrainSettings
from deepemotion.training import malloc, optimisers


class BareEpoch:
    """Trains the paper's network on one batch of noise, again and again; `shape` is X, Y, Z.

    Allocator, threads, memory format and optimiser are those of our training.
    """

    def __init__(self, shape: Shape, batch_size: int, threads: int, precision: torch.dtype = torch.float32) -> None:
        malloc.keep_pages()
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self._precision = precision
        x, y, z = shape
        self._x_B1ZYX = torch.randn(batch_size, 1, z, y, x)
        self._label_B = torch.arange(batch_size) % len(CLASSES)
        self._model = CNN3D((z, y, x), len(CLASSES)).to(memory_format=torch.channels_last_3d)
        self._optimiser = optimisers.build(self._model, TrainSettings(learning_rate=1e-3))

    def train(self, batches: int) -> float:
        """Return the seconds that `batches` training steps took."""
        self._model.train()
        started = time.perf_counter()
        for _ in range(batches):
            self._optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(self._logits(), self._label_B).backward()
            self._optimiser.step()
        return time.perf_counter() - started

    @torch.inference_mode()
    def predict(self, batches: int) -> float:
        """Return the seconds that `batches` forward passes in evaluation mode took."""
        self._model.eval()
        started = time.perf_counter()
        for _ in range(batches):
            self._logits()
        return time.perf_counter() - started

    def _logits(self) -> torch.Tensor:
        with torch.autocast("cpu", self._precision, enabled=self._precision != torch.float32):
            logits: torch.Tensor = self._model(self._x_B1ZYX)
        return logits.float()
