"""The aggregates that TensorBoard shows beside the trials: the paper's figure 3, live, one run per condition."""

import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from launcher.planning.training_sets import POOLED, SINGLE
from launcher.run.directory import RunDirectory
from launcher.tables import conditions
from launcher.tables.epochs import epochs_table
from launcher.tables.selection import Trials, of_kind
from launcher.tables.trials import trials_table

_SIDES = ("train", "validation")
# How old the aggregates may be while trials run, in seconds.
_REFRESH_EVERY_S = 15
_REFERENCES = {"chance": "chance", "label_only": "label_only_accuracy", "majority": "majority_accuracy"}


def aggregate(epochs: pd.DataFrame, trials: Trials) -> pd.DataFrame:
    """Return condition, epoch, tag, value: accuracies over epochs of the single-subject models together and of pooled.

    `condition` is that of `conditions.names`: trials under different protocols or settings are not averaged, and of
    trials whose labels or volumes a later launch replaced only the last count. Permuted ones and controls never count.

    `single_subject/accuracy/SIDE/{mean,minus_sd,plus_sd}` is over the models that have reached the epoch, folds and
    seeds of a model averaged first, by their volumes; SD is the sample's (n - 1), 0 for one model.
    `pooled/accuracy/SIDE` is the pooled model's. `reference/{chance,label_only,majority}` are means over the
    single-subject trials that are done (over all trials where there is none).
    """
    parts = []
    counted = trials.brain.true_labels.latest.current.table
    counted = counted.assign(condition=conditions.names(counted))
    sizes = [f"n_{side}" for side in _SIDES if f"n_{side}" in counted]
    epochs = epochs.drop(columns="condition").merge(counted[["trial", "condition", *sizes]], on="trial")
    if epochs.empty:
        return pd.DataFrame(columns=["condition", "epoch", "tag", "value"])
    single = of_kind(epochs, SINGLE)
    for side in _SIDES:
        column = f"accuracy/{side}"
        a_model = _mean(single, column, side, ["condition", "epoch", "training_set"])
        grouped = a_model.groupby(["condition", "epoch"])
        mean, sd = grouped.mean(), grouped.std().fillna(0.0)
        tag = f"single_subject/accuracy/{side}"
        parts += [_long(mean, f"{tag}/mean"), _long(mean - sd, f"{tag}/minus_sd"), _long(mean + sd, f"{tag}/plus_sd")]
        pooled = _mean(of_kind(epochs, POOLED), column, side, ["condition", "epoch"])
        parts.append(_long(pooled, f"pooled/accuracy/{side}"))
    curves = pd.concat(parts, ignore_index=True)
    return pd.concat([curves, _references(curves, Trials(counted))], ignore_index=True)


def _mean(rows: pd.DataFrame, column: str, side: str, keys: list[str]) -> pd.Series:
    """Return the mean over folds and seeds, weighted by their volumes as in the statistics."""
    # The number of volumes is known for trials that are done; the others count as the mean of these.
    volumes = rows.get(f"n_{side}", pd.Series(float("nan"), rows.index))
    weight = volumes.fillna(volumes.mean()).fillna(1.0)
    sums = pd.DataFrame({"value": rows[column] * weight, "weight": weight}).groupby([rows[key] for key in keys]).sum()
    mean: pd.Series = sums["value"] / sums["weight"]
    return mean


def _long(values: pd.Series, tag: str) -> pd.DataFrame:
    return values.rename("value").reset_index().assign(tag=tag)


def _references(curves: pd.DataFrame, trials: Trials) -> pd.DataFrame:
    done = (trials.done.single if len(trials.done.single) else trials.done).table
    means = {column: _mean(done, column, "validation", ["condition"]) for column in _REFERENCES.values()}
    steps = curves[["condition", "epoch"]].drop_duplicates()
    flat = steps.merge(pd.DataFrame(means).reset_index(), on="condition")
    return pd.concat(
        [
            flat[["condition", "epoch"]].assign(tag=f"reference/{name}", value=flat[column])
            for name, column in _REFERENCES.items()
        ],
        ignore_index=True,
    )


def layout() -> layout_pb2.Layout:
    """Return the custom-scalar layout whose charts are the panels of figure 3."""
    margin = layout_pb2.Chart(
        title="Single-subject models: mean and 1 SD",
        margin=layout_pb2.MarginChartContent(
            series=[
                layout_pb2.MarginChartContent.Series(
                    value=f"single_subject/accuracy/{side}/mean",
                    lower=f"single_subject/accuracy/{side}/minus_sd",
                    upper=f"single_subject/accuracy/{side}/plus_sd",
                )
                for side in _SIDES
            ]
        ),
    )
    references = [f"reference/{name}" for name in _REFERENCES]
    pooled = [*(f"pooled/accuracy/{side}" for side in _SIDES), *references]
    single = [*(f"single_subject/accuracy/{side}/mean" for side in _SIDES), *references]
    charts = [
        margin,
        _chart("Cross-subject (pooled) model", pooled),
        _chart("Single-subject mean against labels alone", single),
    ]
    return layout_pb2.Layout(category=[layout_pb2.Category(title="Figure 3: accuracy over epochs", chart=charts)])


def _chart(title: str, tags: list[str]) -> layout_pb2.Chart:
    return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=tags))


def write_aggregates(run: RunDirectory) -> None:
    """Write the aggregates of all epochs so far, one event file per condition.

    A mean changes when another model reaches its epoch, but event files can only grow. So each write is a new file,
    which makes a running TensorBoard forget the previous one, which is deleted.
    """
    values = aggregate(epochs_table(run), Trials(trials_table(run)))
    for condition, rows in values.groupby("condition"):
        folder = run.tensorboard / str(condition)
        old = sorted(folder.glob("events.out.tfevents.*"))
        writer = EventFileWriter(str(folder))
        now = time.time()
        writer.add_event(Event(wall_time=now, step=0, session_log=SessionLog(status=SessionLog.START)))
        writer.add_event(Event(wall_time=now, step=0, summary=_layout_summary()))
        ordered = rows.sort_values("epoch", kind="stable")
        for epoch, tag, value in zip(ordered["epoch"], ordered["tag"], ordered["value"], strict=True):
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(wall_time=now, step=int(epoch), summary=summary))
        writer.close()
        _remove(old)
    # Another protocol or setting changes the name of a condition that was the only one.
    current = {str(condition) for condition in values["condition"]}
    for folder in run.tensorboard.glob("*"):
        if folder.name not in current:
            _remove(list(folder.glob("events.out.tfevents.*")))
            with suppress(OSError):
                folder.rmdir()


def refresh_aggregates(run: RunDirectory) -> None:
    """Write the aggregates unless another session of the run is doing so or has just done so."""
    with run.only_one("aggregates", every_s=_REFRESH_EVERY_S) as due:
        if due:
            write_aggregates(run)


def _layout_summary() -> Summary:
    # tensorboard.plugins.custom_scalar.summary would make this, but needs TensorFlow.
    tensor = TensorProto(dtype="DT_STRING", string_val=[layout().SerializeToString()], tensor_shape=TensorShapeProto())
    plugin = SummaryMetadata.PluginData(plugin_name=metadata.PLUGIN_NAME)
    value = Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, tensor=tensor, metadata=SummaryMetadata(plugin_data=plugin))
    return Summary(value=[value])


def _remove(files: list[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
