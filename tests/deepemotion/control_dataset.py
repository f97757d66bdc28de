"""A small dataset with every kind of control, in two runs of 20 volumes of a second."""

import json
from pathlib import Path

import numpy as np
import yaml
from nifti_dataset import SmallDataset, nifti_bytes, write

SOURCES = [
    {"control": "motion", "kind": "motion", "file": "sub-{subject}_run-{run}_moco.txt"},
    {"control": "motion", "kind": "timeseries", "file": "sub-{subject}_run-{run}_confounds.tsv", "columns": ["fd"]},
    {"control": "stimulus", "kind": "events", "file": "loudness_run-{run:02d}_events.tsv"},
    {"control": "physio", "kind": "physio", "file": "func/sub-{subject}_task-film_run-{run}_physio.tsv.gz"},
    {"control": "phantom", "kind": "bold", "file": "phantom_run-{run}.nii.gz"},
]
EVENTS = "onset\tduration\trms\tplace\n0.0\t2.5\t0.5\tpark\n2.5\t0\tn/a\tn/a\n4\t1\t0.25\tbus stop\n"
RATE = 10


def with_controls(root: Path, subjects: tuple[str, ...] = ("01",)) -> SmallDataset:
    """Write two runs of 20 volumes of a second with every kind of control."""
    small = SmallDataset(root, subjects=list(subjects))
    describe(small, SOURCES)
    rng = np.random.default_rng(3)
    for run in (1, 2):
        for subject in subjects:
            np.savetxt(root / f"sub-{subject}_run-{run}_moco.txt", rng.normal(size=(20, 6)))
            rows = "".join(f"{'n/a' if i == 0 else i / 4}\t1\n" for i in range(20))
            (root / f"sub-{subject}_run-{run}_confounds.tsv").write_text(f"fd\tother\n{rows}")
            recorded = np.column_stack([np.arange(220) // RATE, rng.normal(size=220)])
            text = "\n".join("\t".join(map(str, row)) for row in recorded)
            write(root / f"func/sub-{subject}_task-film_run-{run}_physio.tsv.gz", text.encode())
        (root / f"loudness_run-{run:02d}_events.tsv").write_text(EVENTS)
        phantom = rng.normal(500, 10, (7, 8, 3, 20 + run)).astype("<i2")
        write(root / f"phantom_run-{run}.nii.gz", nifti_bytes(phantom, slope=2.0, intercept=1.0))
    described = {"Columns": ["second", "noise"], "SamplingFrequency": RATE, "StartTime": -1}
    (root / "task-film_physio.json").write_text(json.dumps(described))
    return small


def describe(small: SmallDataset, sources: list[dict[str, object]]) -> None:
    path = small.root / "dataset.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"controls": sources}))
