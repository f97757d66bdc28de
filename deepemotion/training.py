"""The training loop: load, split, train an epoch, validate, checkpoint; at the end predict every labelled volume."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deepemotion import __version__, allocator, checkpoints, evaluation, models, splits
from deepemotion.checkpoints import Checkpoints
from deepemotion.event_file import EventFile
from deepemotion.files import write_text
from deepemotion.labels import Labels
from deepemotion.samples import Samples, SampleTable, load
from deepemotion.settings import TrainSettings, Trial
from deepemotion.subject_file import SubjectFile, subject_path
from deepemotion.trial_directory import TrialDirectory

Metrics = dict[str, float]


def train(
    trial: Trial, packed: Path, labels_file: Path, directory: TrialDirectory, on_epoch: Callable[[Metrics], None]
) -> Metrics:
    """Train one model, or go on from its last checkpoint, and return its result.

    `on_epoch` is called with each new epoch's metrics after its checkpoint is on disk: `loss/train`, `accuracy/train`
    (running, in training mode), `loss/validation`, `accuracy/validation`, `emotion/<name>` (validation accuracy of one
    class, left out where the class does not occur), `learning_rate`, `time/epoch` (s). The result's accuracies are the
    final model's. Bad input raises UserError. Equal trials give equal metrics on one kind of hardware.
    """
    allocator.keep_pages()
    started = time.monotonic()
    labels = Labels.read(labels_file)
    directory.claim(trial, data_checksums(trial, packed, labels))
    finished = directory.read_json(directory.result)
    if finished is not None:
        return finished
    settings = trial.train
    device = choose_device(settings)
    precision = choose_precision(settings, device)
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)

    samples = load(packed, [*trial.subjects, *trial.unseen_subjects], labels, trial.data).to(device)
    seen, unseen = _sides(samples, trial)
    training, validation = splits.split(seen, trial.split)
    audit = splits.audit(seen, training, validation, len(labels.classes))
    label_N = torch.from_numpy(samples.table.label).to(device)

    x, y, z = samples.shape
    model = models.build(trial.model.name, (z, y, x), len(labels.classes))
    model = model.to(device)
    model = model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, fused=True)
    files = Checkpoints(directory.checkpoints)
    state = files.load()
    history = checkpoints.restore(state, model, optimiser) if state else []
    directory.log(
        f"{'resumed after epoch ' + str(len(history)) if history else 'started'} on {device}, pid {os.getpid()}"
    )

    events = EventFile(directory.path, _hyperparameters(trial))
    for metrics in history:
        events.epoch(metrics)
    for epoch in range(len(history) + 1, settings.epochs + 1):
        epoch_started = time.monotonic()
        loss, accuracy = _train_epoch(model, optimiser, samples, label_N, training, epoch, settings, precision)
        probability = evaluation.predict(model, samples, validation, settings.batch_size, precision)
        metrics = {
            "epoch": epoch,
            "loss/train": loss,
            "accuracy/train": accuracy,
            **_validation_metrics(samples, validation, probability),
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
    probability = evaluation.predict(model, samples, np.arange(len(samples)), settings.batch_size, precision)
    evaluation.write_predictions(directory.predictions, evaluation.predictions_table(samples, sides, probability))
    result = {
        **_accuracies(samples, sides, probability),
        **{f"{name}_accuracy" if name != "chance" else name: value for name, value in asdict(audit).items()},
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
        "labels_checksum": labels.checksum,
        "deepemotion": __version__,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
    }
    write_text(directory.result, json.dumps({**result, **provenance}, indent=1) + "\n")
    directory.log(f"done: validation accuracy {result['accuracy_validation']:.3f}")
    return result


def data_checksums(trial: Trial, packed: Path, labels: Labels) -> dict[str, str]:
    """Return the checksums of everything a trial reads: its labels and its subjects' files."""
    checksums = {"labels": labels.checksum}
    for subject in (*trial.subjects, *trial.unseen_subjects):
        with SubjectFile(subject_path(packed, subject)) as file:
            checksums[f"sub-{subject}"] = file.checksum
    return checksums


def choose_device(settings: TrainSettings) -> torch.device:
    """Return the device asked for; `auto` is the GPU where there is one."""
    if settings.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(settings.device)


def choose_precision(settings: TrainSettings, device: torch.device) -> torch.dtype:
    """Return the type of forward passes; `auto` is bfloat16 on a GPU that has it, else float32."""
    if settings.precision == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32


def _train_epoch(
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    samples: Samples,
    label_N: Tensor,
    rows: NDArray[np.int64],
    epoch: int,
    settings: TrainSettings,
    precision: torch.dtype,
) -> tuple[float, float]:
    """Train once over `rows` in an order that (seed, epoch) decides; return the mean loss and accuracy."""
    model.train()
    device = samples.device
    shuffle = torch.Generator().manual_seed((settings.seed << 32) + epoch)
    order = torch.from_numpy(rows)[torch.randperm(len(rows), generator=shuffle)].to(device)
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), device=device)
    for rows_B in order.split(settings.batch_size):
        label_B = label_N[rows_B]
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits_BC = model(samples.dense(rows_B))
        loss = nn.functional.cross_entropy(logits_BC.float(), label_B)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        # Sums stay on the device: reading them here would wait for the GPU at every step.
        loss_sum += loss.detach() * len(rows_B)
        correct += (logits_BC.detach().argmax(dim=1) == label_B).sum()
    return loss_sum.item() / len(rows), correct.item() / len(rows)


def _sides(samples: Samples, trial: Trial) -> tuple[SampleTable, NDArray[np.int64]]:
    """Return the table of the subjects trained on, which come first, and the rows of the unseen ones."""
    n_seen = int(np.isin(samples.table.subject, trial.subjects).sum())
    table = SampleTable(*(getattr(samples.table, name)[:n_seen] for name in vars(samples.table)))
    return table, np.arange(n_seen, len(samples))


def _validation_metrics(samples: Samples, rows: NDArray[np.int64], probability: NDArray[np.float32]) -> Metrics:
    label, prediction = samples.table.label[rows], probability.argmax(axis=1)
    of_label = probability[np.arange(len(rows)), label].astype(np.float64)
    per_class = evaluation.accuracy_per_class(label, prediction, samples.classes)
    return {
        "loss/validation": float(-np.log(np.maximum(of_label, np.finfo(np.float32).tiny)).mean()),
        "accuracy/validation": evaluation.accuracy(label, prediction),
        **{f"emotion/{name.lower()}": value for name, value in per_class.items() if not np.isnan(value)},
    }


def _accuracies(samples: Samples, sides: dict[str, NDArray[np.int64]], probability: NDArray[np.float32]) -> Metrics:
    result = {}
    for name, rows in sides.items():
        label, prediction = samples.table.label[rows], probability[rows].argmax(axis=1)
        result[f"accuracy_{name}"] = evaluation.accuracy(label, prediction)
        if name != "train":
            for emotion, value in evaluation.accuracy_per_class(label, prediction, samples.classes).items():
                result[f"accuracy_{name}_{emotion}"] = value
    return result


def _hyperparameters(trial: Trial) -> dict[str, float | str]:
    flat: dict[str, float | str] = {"subjects": ",".join(trial.subjects)}
    for section in ("data", "split", "model", "train"):
        for key, value in getattr(trial, section).model_dump().items():
            flat[f"{section}.{key}"] = value if isinstance(value, int | float | str) else str(value)
    return flat
