"""Explains a finished training: maps of the voxels it uses, and its hidden representation, as files in one folder.

maps.tsv                          a row per method and emotion: n, completeness error, overlap with a known network
METHOD_EMOTION.nii.gz             a map in the space of the packed subject
METHOD_slices, METHOD_glass       the maps drawn, .png and .svg
hidden.parquet, hidden.csv        a row per labelled volume, with its principal components
hidden_components.csv             a row per component: variance, correlation with arousal and valence
hidden.png, hidden.svg            the volumes by their components
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from deepemotion import files
from deepemotion.console import say
from deepemotion.errors import UserError
from deepemotion.figures import style
from deepemotion.labels import affect
from deepemotion.labels.table import Labels
from deepemotion.trained import hidden_layer, map_figures, saliency
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.hidden_layer_figure import hidden as draw_hidden
from deepemotion.trained.saliency import EmotionMap
from deepemotion.trained.trained import Trained, load_trained
from deepemotion.training.trial_directory import TrialDirectory


@dataclass(frozen=True)
class Options:
    """What to explain with: see `deepemotion explain --help`."""

    all_volumes: bool = False
    most: int | None = None
    steps: int = 32
    annotations: Path | None = None
    truth: Path | None = None


def explain(directory: TrialDirectory, packed: Path, labels_file: Path, out: Path, options: Options) -> pd.DataFrame:
    """Write everything that the module lists into `out`, and return the table of maps.

    Raises UserError if the training is not done, its data has changed, or the annotations or truth do not fit.
    """
    trained = load_trained(directory, packed, labels_file)
    space = BrainSpace.of(packed, trained.trial.subjects[0])
    ratings = None
    if options.annotations is not None:
        ratings = affect.read(options.annotations, Labels.read(labels_file).movie_time)
    mark = "" if trained.beats_labels else style.DAGGER
    model = f"{trained.trial.model.name} trained on {_named(trained.trial.subjects)}"
    note = f"{model}: validation accuracy {100 * trained.result['accuracy_validation']:.1f} %{mark}"
    note += f" (n = {trained.result['n_validation']}). {style.DAGGER_MEANS if mark else ''}".rstrip()
    rows = []
    for name, emotion_maps in maps(trained, options):
        key = name.lower().replace(" ", "-")
        for each in emotion_maps:
            space.write(out / f"{key}_{each.emotion}.nii.gz", each.volume)
            rows.append({"method": name, "emotion": each.emotion, "n": each.n, "completeness_error": each.error})
            if options.truth is not None:
                rows[-1]["overlap"] = overlap(each, trained, options.truth)
        signs = (
            "Purple is evidence for the emotion, orange against it. " if name == saliency.INTEGRATED_GRADIENTS else ""
        )
        style.save(map_figures.slices(emotion_maps, space, signs + note), out, f"{key}_slices")
        style.save(map_figures.glass(emotion_maps, space, signs + note), out, f"{key}_glass")
    table = pd.DataFrame(rows)
    files.write_text(out / "maps.tsv", table.to_csv(sep="\t", index=False))
    _explain_hidden(trained, ratings, labels_file, out, f"{model}: last hidden layer", note)
    return table


def describe(maps: pd.DataFrame, out: Path) -> str:
    """Return a text that says what was written, and how far each method's maps can be trusted."""
    lines = [f"{out}: {len(maps)} maps"]
    for name, rows in maps.groupby("method", sort=False):
        line = f"  {name}: {int(rows['n'].sum())} volumes"
        if rows["completeness_error"].notna().any():
            line += f", completeness error {100 * rows['completeness_error'].mean():.1f} %"
        if "overlap" in rows:
            line += f", overlap with the planted networks {rows['overlap'].mean():.2f} (0.5 is chance)"
        lines.append(line)
    return "\n".join(lines)


def maps(trained: Trained, options: Options) -> Iterator[tuple[str, list[EmotionMap]]]:
    """Compute each method's maps, one per emotion that has volumes; reports progress and what is left out."""
    for name in (saliency.GRAD_CAM, saliency.INTEGRATED_GRADIENTS):
        method = _method(trained, name, options.steps)
        if method is None:
            say(f"{name} is left out: {trained.trial.model.name} has no convolution")
        else:
            yield name, list(_maps(trained, name, method, options, say))


def maps_by(name: str, trained: Trained, options: Options) -> list[EmotionMap]:
    """Return one method's maps, one per emotion that has volumes. Raises UserError if the model has no such maps."""
    method = _method(trained, name, options.steps)
    if method is None:
        raise UserError(f"{name}: {trained.trial.model.name} has no convolution; use integrated gradients")
    return list(_maps(trained, name, method, options, lambda line: None))


def overlap(emotion_map: EmotionMap, trained: Trained, truth: Path) -> float:
    """Return how well a map finds the planted network: the subject's if there is only one, else the template's.

    `truth` is the folder of that name in a simulated dataset. Raises UserError if it has no such network.
    """
    subjects = trained.trial.subjects
    path = truth / f"{f'sub-{subjects[0]}_' if len(subjects) == 1 else ''}{emotion_map.emotion}.nii.gz"
    try:
        network = np.asarray(nib.load(path).dataobj, dtype=np.float32)
    except OSError as error:
        raise UserError(
            f"{path}: cannot read the planted network: {error}; give a simulation's truth folder"
        ) from error
    inside = trained.samples.grid.mask
    if network.shape != inside.shape:
        raise UserError(f"{path}: shape {network.shape}, but the data has {inside.shape}")
    return saliency.overlap(emotion_map.volume, network, inside)


def _method(trained: Trained, name: str, steps: int) -> saliency.Method | None:
    """Return a method for a model, None if the model has nothing that it could explain."""
    if name == saliency.GRAD_CAM:
        return saliency.grad_cam(trained.model)
    baseline = saliency.mean_volume(trained.samples, np.flatnonzero(trained.predictions["split"] == "train"))
    return saliency.integrated_gradients(trained.model, baseline, steps)


def _maps(
    trained: Trained, name: str, method: saliency.Method, options: Options, report: Callable[[str], None]
) -> Iterator[EmotionMap]:
    splits = ("train", "validation", "unseen", "") if options.all_volumes else ("validation",)
    for index, emotion in enumerate(trained.samples.classes):
        rows = _spread(trained.rows(emotion, splits), options.most)
        if len(rows):
            report(f"{name}: {emotion}, {len(rows)} volumes")
            yield saliency.average(trained.samples, rows, name, method, index)
        else:
            report(f"{name}: {emotion} is left out: no validation volume has this label")


def _spread(rows: NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """Return at most `most` of the rows, evenly spaced."""
    if most is None or len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)]


def _explain_hidden(
    trained: Trained, ratings: affect.Affect | None, labels_file: Path, out: Path, title: str, note: str
) -> None:
    activation = hidden_layer.activations(trained)
    if activation is None:
        say(f"the hidden representation is left out: {trained.trial.model.name} has no hidden layer")
        return
    principal = hidden_layer.principal_components(activation)
    volumes = hidden_layer.table(trained, principal)
    if ratings is not None:
        volumes = hidden_layer.add_affect(volumes, ratings, Labels.read(labels_file), trained.trial.data.lag_s)
        note += f" Arousal and valence: means of {ratings.observers} observers."
    components = hidden_layer.components_table(volumes, principal)
    writers: dict[str, Callable[[Path], object]] = {
        "hidden.parquet": lambda path: volumes.to_parquet(path, index=False, write_page_checksum=True),
        "hidden.csv": lambda path: volumes.to_csv(path, index=False),
        "hidden_components.csv": lambda path: components.to_csv(path, index=False),
    }
    for name, write in writers.items():
        with files.atomic_path(out / name) as temporary:
            write(temporary)
    style.save(draw_hidden(volumes, components, f"{title}, {activation.shape[1]} units", note), out, "hidden")


def _named(subjects: list[str]) -> str:
    return f"sub-{', sub-'.join(subjects)}" if len(subjects) <= 3 else f"{len(subjects)} subjects"
