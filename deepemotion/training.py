"""The training loop: load, split, train an epoch, validate, checkpoint; at the end predict every labelled volume."""

import json
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from deepemotion import __version__, allocator, atlas, checkpoints, evaluation, models, optimisers, splits
from deepemotion.augmentation import Augmentation
from deepemotion.checkpoints import Checkpoints
from deepemotion.errors import UserError
from deepemotion.event_file import EventFile
from deepemotion.files import write_text
from deepemotion.labels import Labels
from deepemotion.losses import Loss
from deepemotion.models.linear import LinearModel
from deepemotion.permutation import permuted
from deepemotion.placement import place
from deepemotion.refusals import refuse_device
from deepemotion.samples import Samples, SampleTable
from deepemotion.settings import TrainSettings, Trial
from deepemotion.subject_file import SubjectFile, subject_path
from deepemotion.trial_directory import TrialDirectory

Metrics = dict[str, float]


def train(
    trial: Trial,
    packed: Path,
    labels_file: Path,
    directory: TrialDirectory,
    on_epoch: Callable[[Metrics], None],
    memory_bytes: int | None = None,
) -> Metrics:
    """Train one model, or go on from its last checkpoint, and return its result.

    `on_epoch` is called with each new epoch's metrics after its checkpoint is on disk: `loss/train`, `accuracy/train`
    (running, in training mode; the loss is the settings' own), `loss/validation` (cross-entropy with the labels,
    whatever was trained on), `accuracy/validation`, `emotion/<name>` (validation accuracy of one class, left out where
    the class does not occur), `learning_rate`, `time/epoch` (s). The result's accuracies are the final model's. Bad
    input raises UserError. Equal trials give equal metrics on one kind of hardware, whatever `memory_bytes` of the
    host they may use: volumes that do not fit are streamed. None: there is no limit.
    """
    allocator.keep_pages()
    started = time.monotonic()
    labels = Labels.read(labels_file)
    models.require_fit(trial)
    checksums = data_checksums(trial, packed, labels)
    directory.require(trial, checksums)
    finished = directory.read_json(directory.result)
    if finished is not None:
        directory.claim(trial, checksums)
        return finished
    settings = trial.train
    device = choose_device(settings)
    precision = choose_precision(settings, device)
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)

    notes: list[str] = []
    samples = place(trial, packed, labels, device, notes.append, memory_bytes)
    if trial.data.permutation:
        samples.table = permuted(samples.table, trial.data)
    seen, unseen = _sides(samples, trial)
    training, validation = splits.split(seen, trial.split)
    audit = splits.audit(seen.movie_time, seen.label, training, validation, len(labels.classes))
    loss_of = Loss(samples.table, training, settings, device)
    # Not before: bad input leaves no folder behind, which a corrected command would have to differ from.
    directory.claim(trial, checksums)
    for note in notes:
        directory.log(note)

    x, y, z = samples.shape
    model = models.build(trial.model, (z, y, x), len(labels.classes), samples.grid)
    model = model.to(device)
    model = model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    if settings.compile:
        _compile(model)
    optimiser = optimisers.build(model, settings)
    files = Checkpoints(directory.checkpoints)
    state = files.load()
    if state is None and files.last.exists():
        directory.log("no checkpoint can be read: its epochs are lost, and training begins again")
    history = checkpoints.restore(state, model, optimiser) if state else []
    directory.log(
        f"{'resumed after epoch ' + str(len(history)) if history else 'started'} on {device}, host"
        f" {socket.gethostname()}, GPUs {os.environ.get('CUDA_VISIBLE_DEVICES') or 'none'}, pid {os.getpid()}"
    )

    events = EventFile(directory.path, _hyperparameters(trial))
    if not history and isinstance(model, LinearModel):
        batches = (x_B1ZYX for _, x_B1ZYX in samples.batches(torch.from_numpy(training), settings.batch_size))
        directory.log(f"{trial.model.name}: {model.standardise(batches)}")
    for metrics in history:
        events.epoch(metrics)
    validated: NDArray[np.float32] | None = None
    for epoch in range(len(history) + 1, settings.epochs + 1):
        epoch_started = time.monotonic()
        augment = Augmentation(trial.augment, settings.seed, epoch, samples.voxels_V)
        loss, accuracy = _train_epoch(model, optimiser, loss_of, samples, training, epoch, settings, precision, augment)
        validated = evaluation.predict(model, samples, validation, settings.batch_size, precision)
        metrics = {
            "epoch": epoch,
            "loss/train": loss,
            "accuracy/train": accuracy,
            **evaluation.epoch_metrics(samples.table, labels.classes, validation, validated),
            "learning_rate": settings.learning_rate,
            "time/epoch": time.monotonic() - epoch_started,
        }
        best = all(metrics["accuracy/validation"] > earlier["accuracy/validation"] for earlier in history)
        history.append(metrics)
        files.save(checkpoints.capture(epoch, model, optimiser, history), best=best)
        directory.write_epochs(history)
        events.epoch(metrics)
        on_epoch(metrics)

    sides = {"train": training, "validation": validation, "unseen": unseen}
    others = np.setdiff1d(np.arange(len(samples)), validation)
    probability = np.empty((len(samples), len(labels.classes)), np.float32)
    # The validation volumes in batches of their own, as in an epoch: their company may decide the last bits.
    if validated is None:
        validated = evaluation.predict(model, samples, validation, settings.batch_size, precision)
    probability[validation] = validated
    probability[others] = evaluation.predict(model, samples, others, settings.batch_size, precision)
    evaluation.write_predictions(directory.predictions, evaluation.predictions_table(samples, sides, probability))
    result = {
        **evaluation.scores(samples.table, labels.classes, sides, probability),
        **{f"{name}_accuracy" if name != "chance" else name: value for name, value in asdict(audit).items()},
        **_audit_of_unseen(samples.table, training, unseen, len(labels.classes)),
        "best_epoch": 1 + int(np.argmax([metrics["accuracy/validation"] for metrics in history])),
        "epochs": settings.epochs,
        "n_train": len(training),
        "n_validation": len(validation),
        "n_unseen": len(unseen),
        "training_s": sum(metrics["time/epoch"] for metrics in history),
        "duration_s": time.monotonic() - started,
    }
    result = {key: value for key, value in result.items() if not np.isnan(value)}
    events.final({key: value for key, value in result.items() if key.startswith("accuracy_")})
    events.close()
    provenance = {
        "classes": list(labels.classes),
        "missing": evaluation.missing_classes(samples.table, labels.classes, sides),
        "labels_checksum": labels.checksum,
        "deepemotion": __version__,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
    write_text(directory.result, json.dumps({**result, **provenance}, indent=1) + "\n")
    directory.log(f"done: validation accuracy {result['accuracy_validation']:.3f}")
    return result


def data_checksums(trial: Trial, packed: Path, labels: Labels) -> dict[str, str]:
    """Return the checksums of everything a trial reads: its labels, its atlas and its subjects' files.

    Raises UserError where one cannot be read, or the atlas lies on another grid than a subject.
    """
    checksums = {"labels": labels.checksum}
    if trial.model.atlas is not None:
        checksums["atlas"] = atlas.checksum(Path(trial.model.atlas))
    for subject in (*trial.subjects, *trial.unseen_subjects):
        with SubjectFile(subject_path(packed, subject)) as file:
            checksums[f"sub-{subject}"] = file.checksum
            if trial.model.atlas is not None:
                atlas.require_grid(Path(trial.model.atlas), file)
    return checksums


def choose_device(settings: TrainSettings) -> torch.device:
    """Return the device asked for; `auto` is the GPU where there is one. Raises UserError for one that is not here."""
    refuse_device(settings.device, torch.cuda.device_count())
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings.device)


def choose_precision(settings: TrainSettings, device: torch.device) -> torch.dtype:
    """Return the type of forward passes; `auto` is bfloat16 on a GPU that has it, else float32."""
    if settings.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32


def _compile(model: nn.Module) -> None:
    """Compile the model's calls, in place: its parameters, and so its checkpoints, are those it has anyway."""
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise UserError(f"train.compile: torch.compile needs a C++ compiler, and {compiler} is not here; leave it out")
    model.compile()


def _train_epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of: Loss,
    samples: Samples,
    rows: NDArray[np.int64],
    epoch: int,
    settings: TrainSettings,
    precision: torch.dtype,
    augment: Augmentation,
) -> tuple[float, float]:
    """Train once over `rows` in an order that (seed, epoch) decides; return the mean loss and accuracy."""
    model.train()
    device = samples.device
    shuffle = torch.Generator().manual_seed((settings.seed << 32) + epoch)
    order = torch.from_numpy(rows)[torch.randperm(len(rows), generator=shuffle)]
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), device=device)
    for rows_B, x_B1ZYX in samples.batches(order, settings.batch_size):
        # Before the forward pass, whose activations need the room.
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            changed_B1ZYX, mix = augment(x_B1ZYX)
            logits_BC = model(changed_B1ZYX)
        loss = mix.loss(loss_of, logits_BC.float(), rows_B)
        loss.backward()
        optimiser.step()
        # Sums stay on the device: reading them here would wait for the GPU at every step.
        loss_sum += loss.detach() * len(rows_B)
        correct += (logits_BC.detach().argmax(dim=1) == loss_of.label_N[rows_B]).sum()
    return loss_sum.item() / len(rows), correct.item() / len(rows)


def _sides(samples: Samples, trial: Trial) -> tuple[SampleTable, NDArray[np.int64]]:
    """Return the table of the subjects trained on, which come first, and the rows that test the unseen ones.

    Those are of validation moments: else a model could be right by having learned the moment from other subjects.
    """
    n_seen = int(np.isin(samples.table.subject, trial.subjects).sum())
    table = SampleTable(*(getattr(samples.table, name)[:n_seen] for name in vars(samples.table)))
    _, held_out = splits.moments(samples.table, trial.split)
    return table, n_seen + np.flatnonzero(held_out[n_seen:])


def _audit_of_unseen(
    table: SampleTable, training: NDArray[np.int64], unseen: NDArray[np.int64], classes: int
) -> Metrics:
    """Return what labels alone score on the unseen subjects: other subjects' labels of the moment may give it away."""
    if not len(unseen):
        return {}
    audit = splits.audit(table.movie_time, table.label, training, unseen, classes)
    return {"label_only_accuracy_unseen": audit.label_only, "majority_accuracy_unseen": audit.majority}


def _hyperparameters(trial: Trial) -> dict[str, float | str]:
    flat: dict[str, float | str] = {"subjects": ",".join(trial.subjects)}
    for section in ("data", "split", "model", "train"):
        for key, value in getattr(trial, section).model_dump().items():
            flat[f"{section}.{key}"] = value if isinstance(value, int | float | str) else str(value)
    return flat
