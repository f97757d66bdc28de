"""The training loop: load, split, train an epoch, validate, checkpoint; at the end predict every labelled volume."""

import math
import os
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deepemotion.errors import UserError
from deepemotion.labels.table import Labels
from deepemotion.models import registry
from deepemotion.models.standardised import StandardisedModel
from deepemotion.samples.agreement import require_agreement
from deepemotion.scoring import score
from deepemotion.settings.schema import TRIAL_SECTIONS, TrainSettings, Trial
from deepemotion.subject_file.folder import open_subjects
from deepemotion.training import malloc, optimisers, training_state, trial_lock
from deepemotion.training.augmentation import Augmentation
from deepemotion.training.checkpoints import Checkpoints
from deepemotion.training.checksums import data_checksums, data_digest
from deepemotion.training.device import choose_device, choose_precision
from deepemotion.training.epoch_line import epoch_line
from deepemotion.training.event_file import EventFile, remove_event_files
from deepemotion.training.losses import Loss
from deepemotion.training.result import predict_all, result_of, write_result
from deepemotion.training.trial_data import TrialData
from deepemotion.training.trial_directory import TrialDirectory, digest

Metrics = dict[str, float]


def train(
    trial: Trial,
    packed: Path,
    labels_file: Path,
    directory: TrialDirectory,
    on_epoch: Callable[[Metrics], None],
    memory_bytes: int | None = None,
    planned_data: str | None = None,
    event_file: bool = True,
) -> Metrics:
    """Train one model, or resume it from its last checkpoint, and return its result.

    `on_epoch` is called with each new epoch's metrics after its checkpoint is on disk: `loss/train`, `accuracy/train`
    (running, in training mode; the loss is the settings' own), `loss/validation` (cross-entropy with the labels,
    whatever was trained on), `accuracy/validation`, `emotion/<name>` (validation accuracy of one class, left out if
    the class does not occur), `learning_rate`, `time/epoch` (s). The result's accuracies are the final model's. Bad
    input raises UserError. Equal trials give equal metrics on one kind of hardware, whatever `memory_bytes` of the
    host they may use: volumes that do not fit are streamed. None means no limit. (On GPUs, models whose
    poolings overlap differ in the last bits: their gradient is summed in any order there.)

    `planned_data` is the `data_digest` of the data that the trial was planned for: any other data raises UserError.
    `event_file` says whether to write the metrics for TensorBoard as well as to epochs.tsv.
    """
    malloc.keep_pages()
    started = time.monotonic()
    labels = Labels.read(labels_file)
    registry.require_fit(trial)
    with open_subjects(packed, trial.all_subjects) as files, ExitStack() as stack:
        require_agreement(files.values(), labels, labels_file)
        checksums = data_checksums(trial, files, labels)
        if planned_data is not None and data_digest(checksums) != planned_data:
            raise UserError(
                f"{labels_file} or the subjects in {packed} have changed since the trial was planned; launch again"
            )
        directory.require(trial, checksums)
        finished = directory.read_finished()
        if finished is not None:
            directory.claim(trial, checksums)
            directory.remove_abandoned()
            return finished
        device = choose_device(trial.train)
        _set_up_torch(trial.train)
        notes: list[str] = []
        data = TrialData.load(trial, files, labels, device, notes.append, memory_bytes)
        if not data.samples.streamed:
            # Nothing more is read from them, and their masks would stay in memory.
            files.close()
        loss_of = Loss(data.samples.table, data.training, trial.train, device)
        model = _model(trial, data, device)
        # Not earlier: bad input must leave no folder behind, which the corrected command would then conflict with.
        stack.enter_context(trial_lock.held(directory.path, directory.log))
        finished = directory.read_finished()
        if finished is not None:
            # By another attempt, while this one waited.
            return finished
        directory.claim(trial, checksums)
        directory.remove_abandoned()
        for note in notes:
            directory.log(note)
        # A resumed trial's own, of an earlier version, would be one more run of TensorBoard's, and end too early.
        remove_event_files(directory.path)
        events = EventFile(directory.path, _hyperparameters(trial)) if event_file else None
        result, probability = _train_epochs(
            trial, data, model, loss_of, directory, on_epoch, digest(trial, checksums), events
        )
        result["duration_s"] = time.monotonic() - started
        directory.remove_abandoned(age_s=0)
        write_result(directory, data, labels, probability, result)
        return result


def _set_up_torch(settings: TrainSettings) -> None:
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    # Otherwise a GPU's convolutions may sum gradients in a different order each time.
    torch.backends.cudnn.deterministic = True


def _train_epochs(
    trial: Trial,
    data: TrialData,
    model: nn.Module,
    loss_of: Loss,
    directory: TrialDirectory,
    on_epoch: Callable[[Metrics], None],
    training: str,
    events: EventFile | None,
) -> tuple[Metrics, NDArray[np.float32]]:
    """Train the epochs that are left; return the result, and the final probabilities (N, C) of all volumes.

    `training` is the digest of the trial and its data, which its checkpoints carry.
    """
    began = directory.settings.stat()
    settings, device = trial.train, data.samples.device
    precision = choose_precision(settings, device)
    optimiser = optimisers.build(model, settings)
    history = _resume(directory, model, optimiser, settings.epochs, training)
    _log_start(directory, history, device)
    if not history and isinstance(model, StandardisedModel):
        batches = (x_B1ZYX for _, x_B1ZYX in data.samples.batches(torch.from_numpy(data.training), settings.batch_size))
        directory.log(f"{trial.model.name}: {model.standardise(batches)}")
    if history:
        # If it was killed right after its checkpoint, the last of these epochs is not in the table yet.
        directory.write_epochs(history)
    for metrics in history:
        _require_finite(metrics)
        if events is not None:
            events.epoch(metrics)
    validated: NDArray[np.float32] | None = None
    for epoch in range(len(history) + 1, settings.epochs + 1):
        epoch_started = time.monotonic()
        augment = Augmentation(trial.augment, settings.seed, epoch, data.samples.voxels_V)
        loss, accuracy = _train_epoch(model, optimiser, loss_of, data, epoch, settings, precision, augment)
        validated = score.predict(model, data.samples, data.validation, settings.batch_size, precision)
        metrics = {
            "epoch": epoch,
            "loss/train": loss,
            "accuracy/train": accuracy,
            **score.epoch_metrics(data.samples.table, data.classes, data.validation, validated),
            "learning_rate": settings.learning_rate,
            "time/epoch": time.monotonic() - epoch_started,
        }
        _require_finite(metrics)
        _require_folder(directory, began, events)
        best = all(metrics["accuracy/validation"] > earlier["accuracy/validation"] for earlier in history)
        history.append(metrics)
        state = training_state.capture(epoch, model, optimiser, history, training)
        Checkpoints(directory.checkpoints).save(state, best=best)
        directory.log(epoch_line(metrics, settings.epochs))
        directory.write_epochs(history)
        if events is not None:
            events.epoch(metrics)
        on_epoch(metrics)

    _require_folder(directory, began, events)
    probability = predict_all(model, data, validated, settings, precision)
    result = result_of(data, probability, history)
    if events is not None:
        events.final({key: value for key, value in result.items() if key.startswith("accuracy_")})
        events.close()
    return result, probability


def _model(trial: Trial, data: TrialData, device: torch.device) -> nn.Module:
    x, y, z = data.samples.shape
    model = registry.build(trial.model, (z, y, x), len(data.classes), data.samples.grid).to(device)
    model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if trial.train.compile:
        _compile(model)
    return model


def _resume(
    directory: TrialDirectory, model: nn.Module, optimiser: torch.optim.Optimizer, epochs: int, training: str
) -> list[Metrics]:
    """Restore model and optimiser from the last intact checkpoint, and return the metrics of the epochs until then."""
    damaged = []

    def remove(path: Path, why: str) -> None:
        # `save` would put it in the place of a good one.
        path.unlink(missing_ok=True)
        directory.log(f"removed {path}: {why}")
        damaged.append(path)

    files = Checkpoints(directory.checkpoints)
    newest = files.load(remove)
    if newest is None:
        if damaged or files.last.exists():
            directory.log("no checkpoint can be read: its epochs are lost, and training starts from the beginning")
        return []
    path, state = newest
    history = training_state.restore(path, state, model, optimiser, epochs, training)
    if damaged:
        directory.log(f"{path} is the last checkpoint that can be read: epochs after {len(history)} are lost")
    return history


def _log_start(directory: TrialDirectory, history: list[Metrics], device: torch.device) -> None:
    directory.log(
        f"{'resumed after epoch ' + str(len(history)) if history else 'started'} on {device}, host"
        f" {socket.gethostname()}, GPUs {os.environ.get('CUDA_VISIBLE_DEVICES') or 'none'}, pid {os.getpid()}"
    )


def _compile(model: nn.Module) -> None:
    """Compile the model's calls in place, which keeps the names of its parameters, and so its checkpoints."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise UserError(
            f"train.compile: torch.compile needs a C++ compiler, but {compiler} is not installed; leave it out"
        )
    model.compile()


def _train_epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of: Loss,
    data: TrialData,
    epoch: int,
    settings: TrainSettings,
    precision: torch.dtype,
    augment: Augmentation,
) -> tuple[float, float]:
    """Train once over the training rows in an order that (seed, epoch) decides; return the mean loss and accuracy."""
    model.train()
    device = data.samples.device
    shuffle = torch.Generator().manual_seed((settings.seed << 32) + epoch)
    order = torch.from_numpy(data.training)[torch.randperm(len(data.training), generator=shuffle)]
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), device=device)
    for rows_B, x_B1ZYX in data.samples.batches(order, settings.batch_size):
        # Before the forward pass, whose activations need the memory.
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            changed_B1ZYX, mix = augment(x_B1ZYX)
            logits_BC = model(changed_B1ZYX)
        loss = mix.loss(loss_of, logits_BC.float(), rows_B)
        loss.backward()
        optimiser.step()
        # The sums stay on the device: reading them here would wait for the GPU at every step.
        loss_sum += loss.detach() * len(rows_B)
        correct += (logits_BC.detach().argmax(dim=1) == loss_of.label_N[rows_B]).sum()
    return loss_sum.item() / len(order), correct.item() / len(order)


def _require_folder(directory: TrialDirectory, began: os.stat_result, events: EventFile | None) -> None:
    """Raise UserError where somebody deleted the trial's folder, or another training has begun in it.

    `began` is of trial.json when this one began: another training in a new folder writes another file.
    """
    try:
        same = os.path.samestat(directory.settings.stat(), began)
    except FileNotFoundError:
        same = False
    if not same or (events is not None and not events.exists):
        raise UserError(f"{directory.path}: deleted, or used by another training, while this one ran; start it again")


def _require_finite(metrics: Metrics) -> None:
    """Raise UserError for an epoch that diverged: nothing can be learned after it."""
    for name, words in (("loss/train", "loss"), ("loss/validation", "validation loss")):
        if not math.isfinite(metrics[name]):
            raise UserError(
                f"diverged at epoch {metrics['epoch']:.0f} ({words} is {metrics[name]}); lower train.learning_rate"
            )


def _hyperparameters(trial: Trial) -> dict[str, float | str]:
    flat: dict[str, float | str] = {"subjects": ",".join(trial.subjects)}
    for section in TRIAL_SECTIONS:
        for key, value in getattr(trial, section).model_dump().items():
            text = "+".join(value) if isinstance(value, tuple) else str(value)
            flat[f"{section}.{key}"] = value if isinstance(value, int | float | str) else text
    return flat
