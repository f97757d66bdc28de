"""Tests the saliency maps of a run against those of its trainings on permuted labels, and writes what is found.

maps/trials/SETTINGS/TRIAL.npz        the maps of one trial, see deepemotion.trained.stored_maps
maps/CONDITION/MODEL/                 the results of one model, see map_results
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deepemotion import files
from deepemotion.console import say
from deepemotion.errors import UserError
from deepemotion.scoring.cluster_test import ClusterTest, FoundClusters, equally_weighted, find_clusters
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.trained import stored_maps
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.cluster_table import Regions
from deepemotion.trained.stored_maps import MapSettings, StoredMaps
from deepemotion.training.data_sources import Sources
from launcher.evidence import map_results
from launcher.evidence.mapped_models import MappedModel, select
from launcher.evidence.model_maps import ModelMaps
from launcher.run.directory import RunDirectory
from launcher.tables.trials import write_tables


@dataclass(frozen=True)
class MapsOptions:
    """What to map and how to test it: see `deepemotion-launch maps --help`."""

    settings: MapSettings
    test: ClusterTest
    condition: str | None = None
    model: str | None = None
    atlas: Path | None = None
    atlas_labels: Path | None = None


def write_saliency_maps(run: RunDirectory, options: MapsOptions) -> list[Path]:
    """Make the maps that are missing, test those of each model, and return the folders with the results.

    Maps of trials are stored one by one, so that this can be killed and run again. Raises UserError where there are too
    few permutations, grids differ, or trials, their data or the atlas cannot be used.
    """
    run.require_writable()
    sources = Sources.read(run.path)
    models = _testable(select(write_tables(run), options.condition, options.model), options.test)
    regions = None
    if options.atlas is not None:
        with SubjectFile.of(sources.packed, _subject(run, models[0])) as file:
            regions = Regions.read(options.atlas, options.atlas_labels, file)
    stored = _stored(run, sources, options.settings, models)
    folders = []
    for model in models:
        maps = ModelMaps(model, stored)
        space = BrainSpace(maps.affine, maps.mask, BrainSpace.of(sources.packed, _subject(run, model)).mean)
        results = map_results.Writer(run.maps / model.condition / model.name, model, space, regions, options.test)
        for emotion, tested in _tested(run, model, maps, options.test):
            results.add(emotion, tested)
        results.finish(options.settings)
        folders.append(results.folder)
    return folders


def _testable(models: list[MappedModel], test: ClusterTest) -> list[MappedModel]:
    """Return the models with enough permutations, and report the others. Raises UserError where there is none."""
    problems = {}
    for model in models:
        problem = test.problem(len(model.members), len(model.permutations) - 1)
        if problem:
            problems[model.name] = f"{model.name}: {problem}; launch with more --permutations, or choose a larger p"
    if len(problems) == len(models):
        raise UserError(next(iter(problems.values())))
    for problem in problems.values():
        say(f"left out: {problem}")
    return [model for model in models if model.name not in problems]


def _subject(run: RunDirectory, model: MappedModel) -> str:
    """Return the first subject that a model is trained on."""
    names = set(model.trials[model.members[0], 0])
    return next(trial.trial.subjects[0] for trial in run.read_plan() if trial.name in names)


def _stored(
    run: RunDirectory, sources: Sources, settings: MapSettings, models: list[MappedModel]
) -> dict[str, StoredMaps]:
    """Return the maps of all trials of the models; those that are not stored yet are made."""
    folder = run.maps / "trials" / settings.name
    files.remove_abandoned(folder)
    needed = dict.fromkeys(name for model in models for name in model.counted)
    found = {name: stored_maps.read(folder, run.trial(name)) for name in needed}
    missing = [name for name, maps in found.items() if maps is None]
    say(f"maps of {len(found)} trials: {len(found) - len(missing)} are stored, {len(missing)} are to be made")
    result = {name: maps for name, maps in found.items() if maps is not None}
    for count, name in enumerate(missing, start=1):
        result[name] = stored_maps.make(folder, run.trial(name), sources.packed, sources.labels, settings)
        say(f"{name}: mapped ({count} of {len(missing)})")
    return result


def _tested(
    run: RunDirectory, model: MappedModel, maps: ModelMaps, test: ClusterTest
) -> Iterator[tuple[str, FoundClusters]]:
    """Test the map of each emotion that has enough permutations."""
    for emotion in maps.emotions:
        permutations = len(maps.permutations(emotion)) - 1
        problem = test.problem(len(model.members), permutations)
        if problem:
            say(f"{model.name}: {emotion} is left out: {problem}")
            continue
        say(f"{model.name}: {emotion}, {permutations} permutations")
        with maps.of(emotion, run.maps) as maps_SKV:
            if len(model.members) > 1:
                equally_weighted(maps_SKV)
            yield emotion, find_clusters(maps_SKV, maps.mask, test)
