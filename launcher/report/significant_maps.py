"""The tested saliency maps of a run for its report: the significant clusters, their figure, and how it was tested."""

import json
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from deepemotion.files import readable
from launcher.evidence.map_results import CLUSTERS, METHOD
from launcher.evidence.text_tables import TextTable
from launcher.run.directory import RunDirectory

_REMEDY = "delete the folder; deepemotion-launch maps writes it again"
# The table in the folder has all of them.
_MOST_ROWS = 30


@dataclass(frozen=True)
class SignificantMaps:
    """The clusters of one model, how they were found, and the figure, None where no cluster is significant."""

    clusters: TextTable
    method: str
    summary: str
    figure: Path | None


def read(run: RunDirectory) -> list[SignificantMaps]:
    """Return the results of each model whose maps were tested. Raises UserError for a file that cannot be read."""
    return [_read(run, path.parent) for path in sorted(run.maps.glob(f"*/*/{METHOD}"))]


def _read(run: RunDirectory, folder: Path) -> SignificantMaps:
    with readable(folder / METHOD, _REMEDY):
        method = str(json.loads((folder / METHOD).read_bytes())["method"])
    with readable(folder / f"{CLUSTERS}.csv", _REMEDY):
        clusters = pd.read_csv(folder / f"{CLUSTERS}.csv", keep_default_na=False)
        found = clusters[clusters["significant"]] if len(clusters) else clusters
        rows = [_cells(row) for row in found.head(_MOST_ROWS).to_dict("records")]
    title = f"{folder.name}, {folder.parent.name}"
    columns = ["emotion", "cluster", "voxels", "mm³", "p FWE", "q FDR", "peak", "x", "y", "z", "region", "of cluster"]
    used = columns if "region" in clusters else columns[:-2]
    figure = folder / f"{CLUSTERS}.png"
    summary = f"{len(found)} of {len(clusters)} clusters are significant."
    if len(found) > len(rows):
        summary += f" The table shows {len(rows)}; clusters.csv in {folder.relative_to(run.path)} has all."
    return SignificantMaps(TextTable(title, used, rows), method, summary, figure if figure.is_file() else None)


def _cells(row: dict[Hashable, Any]) -> list[str]:
    words = [f"{row['emotion']}", f"{row['cluster']}", f"{row['voxels']}", f"{row['mm3']:.0f}"]
    words += [f"{row['p_fwe']:.3g}", f"{row['p_fdr']:.3g}", f"{row['peak']:.3g}"]
    words += [f"{row[f'peak_{axis}']:.1f}" for axis in "xyz"]
    return words + ([f"{row['region']}", f"{100 * row['region_share']:.0f} %"] if "region" in row else [])
