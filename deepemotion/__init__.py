"""Decode emotion from fMRI volumes with 3D convolutional networks: data, labels, models and their evaluation."""

__version__ = "0.2.0"
