"""The results of a model whose maps were tested, as files in one folder.

EMOTION_saliency.nii.gz     the map on true labels
EMOTION_p.nii.gz            the p of each voxel, not corrected
EMOTION_corrected.nii.gz    the map in significant clusters, 0 elsewhere
clusters.csv                a row for each cluster of each emotion
clusters.png, .svg          slices through the significant ones, if there are any
method.json                 written last: what was tested, in words
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd

from deepemotion import files
from deepemotion.figures import style
from deepemotion.scoring.cluster_test import ClusterTest, FoundClusters
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.cluster_figure import ShownCluster, cluster_figure
from deepemotion.trained.cluster_table import Regions, cluster_table
from deepemotion.trained.stored_maps import MapSettings
from launcher.evidence.mapped_models import MappedModel

METHOD, CLUSTERS = "method.json", "clusters"


class Writer:
    """Writes the results of one model, emotion by emotion."""

    def __init__(
        self, folder: Path, model: MappedModel, space: BrainSpace, regions: Regions | None, test: ClusterTest
    ) -> None:
        self.folder, self._model, self._space, self._regions, self._test = folder, model, space, regions, test
        self._tables: list[pd.DataFrame] = []
        self._shown: list[tuple[int, ShownCluster]] = []
        # What an earlier test found may be of other settings. Without its method, nothing in the folder counts.
        for pattern in (METHOD, f"{CLUSTERS}.*", "*.nii.gz"):
            for path in folder.glob(pattern):
                path.unlink(missing_ok=True)

    def add(self, emotion: str, tested: FoundClusters) -> None:
        """Write the images of an emotion, and add its clusters to the table and the figure."""
        self._write_image(f"{emotion}_saliency", tested.observed, 0)
        # Outside the mask nothing was tested, which a p of 1 says.
        self._write_image(f"{emotion}_p", tested.p.astype(np.float32), 1)
        corrected = self._write_image(f"{emotion}_corrected", tested.corrected, 0)
        table = cluster_table(tested, self._space, self._regions)
        table.insert(0, "emotion", emotion)
        self._tables.append(table)
        for row in table[table["significant"]].to_dict("records"):
            p = f"p = {row[f'p_{self._test.correction}']:.3g}, {row['voxels']} voxels"
            region = "" if self._regions is None else f"\n{row['region']} ({100 * row['region_share']:.0f} %)"
            words = f"{emotion.capitalize()}, cluster {row['cluster']}\n{p}{region}"
            peak = (row["peak_x"], row["peak_y"], row["peak_z"])
            self._shown.append((row["cluster"], ShownCluster(words, corrected, peak)))

    def finish(self, settings: MapSettings) -> None:
        """Write the table, the figure, and last the method."""
        columns = ["emotion", "cluster", "voxels", "significant"]
        table = pd.concat(self._tables) if self._tables else pd.DataFrame(columns=columns)
        files.write_text(self.folder / f"{CLUSTERS}.csv", table.to_csv(index=False))
        note = _note(self._model)
        if self._shown:
            title = f"Significant clusters: {self._model.in_words}, {self._model.condition}"
            # The largest of each emotion come first: the figure has no room for all.
            shown = [cluster for _, cluster in sorted(self._shown, key=lambda ranked: ranked[0])]
            style.save(cluster_figure(shown, self._space, title, note), self.folder, CLUSTERS)
        method = f"{_method(self._model, settings, self._test)} {note}".rstrip()
        files.write_text(self.folder / METHOD, json.dumps({"method": method}, indent=1) + "\n")

    def _write_image(self, name: str, values_V: np.ndarray, outside: float) -> np.ndarray:
        volume = np.full(self._space.mask.shape, outside, np.float32)
        volume[self._space.mask] = values_V
        self._space.write(self.folder / f"{name}.nii.gz", volume)
        return volume


def _method(model: MappedModel, settings: MapSettings, test: ClusterTest) -> str:
    """Return what was tested and how, as a report says it."""
    group = len(model.members) > 1
    maps = f"{settings.in_words} of the validation volumes of each emotion, by the labels trained on, in "
    maps += f"{model.in_words}{', each weighted equally' if group else ''}, compared with"
    maps += f" {len(model.permutations) - 1} trainings on permuted labels{' of each' if group else ''}."
    drawn = f" among {test.draws} group maps of a random permutation for each subject (Stelzer et al. 2013)"
    voxels = f" Clusters are of voxels that share faces, with p of at most {test.voxel_p:g}{drawn if group else ''}."
    if test.correction == "fwe":
        alike = ", with one permutation for all subjects" if group else ""
        found = f" Significant: family-wise p of at most {test.cluster_p:g}, by the largest cluster of each permutation"
        return f"{maps}{voxels}{found}{alike}. This corrects for the voxels of a map, not for the number of maps."
    alike = " This takes subjects to be independent, which those who saw one film are not." if group else ""
    found = f" Significant: false discovery rate of at most {test.cluster_p:g} over the clusters of a map, whose p are"
    return f"{maps}{voxels}{found} by the sizes of all chance clusters.{alike}"


def _note(model: MappedModel) -> str:
    if not model.below:
        return ""
    if len(model.members) == 1:
        return style.DAGGER_MEANS.replace(style.DAGGER, f"{style.DAGGER} This model", 1)
    return f"{style.DAGGER} {len(model.below)} of {len(model.members)} models do not exceed {style.AUDIT_IN_WORDS}."
