"""Writes the folder of a simulated dataset, and checks what an existing folder holds and whether it is finished."""

import dataclasses
import json
from pathlib import Path

import joblib
import numpy as np
import yaml
from numpy.typing import NDArray

from deepemotion import files
from deepemotion.console import say
from deepemotion.dataset.description import Dataset
from deepemotion.errors import UserError
from deepemotion.simulation import brain, controls, nifti, observers, scan, story
from deepemotion.simulation.parameters import Parameters, Stream

# Increased whenever the same parameters give different data.
VERSION = 1
MARKER = "simulation.json"
# Parameters that folders of earlier versions do not record, and which they have: they lack files of controls alone.
_ADDED: dict[str, object] = {"loudness": 0.0, "motion": 0.0, "phantom": False}


def simulate(out: Path, parameters: Parameters, jobs: int) -> None:
    """Write the dataset that `parameters` describe to the folder `out`, with `jobs` processes.

    A finished dataset of the same parameters is left alone; an unfinished one is completed. Raises UserError if
    `out` holds anything else.
    """
    if jobs < 1:
        raise UserError(f"jobs: {jobs} is less than 1; give at least 1")
    if _claim(out, parameters):
        say(f"{out}: up to date")
        return
    dataset = parameters.dataset()
    blocks = story.tell(parameters.generator(Stream.STORY), dataset)
    _write_texts(out, parameters, dataset, blocks)
    _write_template(out, parameters, dataset)
    controls.write_stimulus(out, parameters, dataset, blocks)
    for segment in dataset.segments if parameters.phantom else ():
        controls.write_phantom(out, parameters, dataset, segment)
    responses = [story.responses(blocks, segment, dataset.tr) for segment in dataset.segments]
    # A generator, so that an error or Ctrl-C in the middle stops the processes at once.
    finished = joblib.Parallel(n_jobs=min(jobs, parameters.subjects), return_as="generator_unordered")(
        joblib.delayed(_write_subject)(out, parameters, dataset, subject, responses) for subject in dataset.subjects
    )
    for count, subject in enumerate(finished, start=1):
        say(f"sub-{subject}: simulated ({count} of {parameters.subjects})")
    _mark(out, parameters, finished=True)


def _claim(out: Path, parameters: Parameters) -> bool:
    """Claim `out` for these parameters, and return whether it is finished. Raises UserError if it is something else."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; give a folder")
    marker = out / MARKER
    if not marker.is_file():
        if out.is_dir() and any(out.iterdir()):
            raise UserError(f"{out}: not empty, and not a simulated dataset; give a new folder")
        _mark(out, parameters, finished=False)
        return False
    try:
        recorded = json.loads(marker.read_text(encoding="utf-8"))
        ours, theirs = _identity(parameters), {"version": recorded["version"], **_ADDED, **recorded["parameters"]}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise UserError(f"{marker}: not readable as a simulation's parameters; give a new folder") from error
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise UserError(
                f"{out}: simulated with {key} {theirs.get(key)}, not {value}; remove it or give a new folder"
            )
    if not recorded.get("finished"):
        # Left by killed processes; finished files are kept.
        for partial in out.rglob(".partial-*"):
            partial.unlink(missing_ok=True)
    return bool(recorded.get("finished"))


def _identity(parameters: Parameters) -> dict[str, object]:
    normal = dataclasses.replace(parameters, volumes_per_run=parameters.run_volumes)
    return {"version": VERSION, **json.loads(json.dumps(dataclasses.asdict(normal)))}


def _mark(out: Path, parameters: Parameters, *, finished: bool) -> None:
    identity = _identity(parameters)
    content = {"version": identity.pop("version"), "parameters": identity, "finished": finished}
    files.write_text(out / MARKER, json.dumps(content, indent=2) + "\n")


def _write_texts(out: Path, parameters: Parameters, dataset: Dataset, blocks: list[story.Block]) -> None:
    files.write_text(out / "dataset.yaml", yaml.safe_dump(dataset.model_dump(exclude_none=True), sort_keys=False))
    for name, content in observers.annotate(parameters, blocks, dataset.segments[-1].end).items():
        files.write_text(out / "annotations" / f"{name}.csv", content)
    lines = [f"{time:g}\t{emotion}\n" for time, emotion in story.timeline(blocks, dataset)]
    files.write_text(out / "truth" / "story.tsv", "".join(["movie_time\temotion\n", *lines]))


def _write_template(out: Path, parameters: Parameters, dataset: Dataset) -> None:
    _write_networks(out, "", brain.networks(parameters, None))
    smallest = min(brain.mask_limits(parameters, int(subject)).min() for subject in dataset.subjects)
    if dataset.files.mask is not None:
        nifti.write_volume(out / dataset.files.mask, (brain.radius(parameters.shape) < smallest).astype(np.uint8))


def _write_subject(
    out: Path, parameters: Parameters, dataset: Dataset, subject: str, responses: list[NDArray[np.float32]]
) -> str:
    number = int(subject)
    anatomy = brain.anatomy(parameters, number)
    networks = brain.networks(parameters, number)
    limits = brain.mask_limits(parameters, number)
    _write_networks(out, f"sub-{subject}_", networks)
    controls.write_motion(out, parameters, dataset, subject, responses)
    controls.write_physio(out, parameters, dataset, subject)
    for segment, response, limit in zip(dataset.segments, responses, limits, strict=True):
        if dataset.files.run_mask is not None:
            mask = (brain.radius(parameters.shape) < limit).astype(np.uint8)
            nifti.write_volume(out / dataset.files.run_mask.format(subject=subject, run=segment.run), mask)
        bold = out / dataset.files.bold.format(subject=subject, run=segment.run)
        if not bold.exists():
            rng = parameters.generator(Stream.RUN, number, segment.run)
            volumes = scan.volumes(rng, anatomy, networks, response, parameters.signal)
            nifti.write_run(bold, volumes, parameters.shape, len(response))
    return subject


def _write_networks(out: Path, prefix: str, networks: brain.Volume) -> None:
    for emotion, network in zip(story.EMOTIONS, networks, strict=True):
        nifti.write_volume(out / "truth" / f"{prefix}{emotion}.nii.gz", network)
