"""Maps of a run tested against those of permuted trainings: of trials whose maps are made up, and of trained ones."""

import json
import shutil

import finished_run
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import trained_run
from atlas_image import slabs, write_atlas
from scipy.ndimage import gaussian_filter

from deepemotion.errors import UserError
from deepemotion.scoring.cluster_test import ClusterTest
from deepemotion.trained import explanation, saliency, stored_maps
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.explanation import Options
from deepemotion.trained.stored_maps import MapSettings
from deepemotion.trained.trained import load_trained
from deepemotion.training.data_sources import Sources
from launcher.evidence.saliency_maps import MapsOptions, write_saliency_maps
from launcher.report import significant_maps
from launcher.report.html import write_report
from launcher.run.directory import RunDirectory

SETTINGS = MapSettings()
TEST = ClusterTest(voxel_p=0.02, draws=500)
PERMUTATIONS = 19
PEAK = (4, 9, 6)


def options(test=TEST, **changes):
    return MapsOptions(SETTINGS, test, **changes)


def trial(subject, permutation, fold=None):
    split = {"protocol": "random"} if fold is None else {"protocol": "run", "fold": fold}
    name = f"sub-{subject}_lr-0.001_perm-{permutation}{'' if fold is None else f'_run-{fold}'}"
    return finished_run.planned(name, subject, data={"permutation": permutation}, split=split)


def store(run, one, space, emotion="FEAR", n=3, factor=1.0):
    """Store maps of noise, with a blob where labels are true."""
    rng = np.random.default_rng([int(one.subjects[0]), one.permutation, one.fold or 0])
    volume = gaussian_filter(rng.standard_normal(space.mask.shape).astype(np.float32), 1)
    if one.permutation == 0:
        volume += 0.8 * np.exp(-np.sum((np.indices(space.mask.shape).T - PEAK).T ** 2, axis=0) / 4).astype(np.float32)
    folder = run.maps / "trials" / SETTINGS.name
    stored_maps.write(folder, run.trial(one.name), space, {emotion: (n, factor * volume * space.mask)})


@pytest.fixture(scope="module")
def space(tiny_packed):
    return BrainSpace.of(tiny_packed, "01")


@pytest.fixture(scope="module")
def mapped(tmp_path_factory, tiny_packed, tiny_labels, space):
    """A run of three subjects whose maps are stored, the last one's a hundred times as large. Read it only."""
    trials = [trial(subject, k) for subject in ("01", "02", "03") for k in range(PERMUTATIONS + 1)]
    run = finished_run.make(tmp_path_factory.mktemp("runs") / "mapped", trials)
    Sources(tiny_packed, tiny_labels).write(run.path)
    for one in trials:
        store(run, one, space, factor=100.0 if one.subjects == ("03",) else 1.0)
    return run


@pytest.fixture
def run(mapped, tmp_path):
    """A copy of the run whose maps are stored."""
    shutil.copytree(mapped.path, tmp_path / "run")
    return RunDirectory(tmp_path / "run")


def test_a_planted_blob_is_found_where_it_is_and_named_by_its_region(run, space, tmp_path):
    region = slabs(space.mask.shape, 4)
    atlas = write_atlas(tmp_path / "atlas.nii.gz", region, space.affine)
    (tmp_path / "atlas.tsv").write_text("index\tname\n1\tone\n3\tthree\n")
    (folder,) = write_saliency_maps(run, options(atlas=atlas, atlas_labels=tmp_path / "atlas.tsv"))
    assert folder == run.path / "maps" / "lr-0.001" / "group"
    clusters = pd.read_csv(folder / "clusters.csv")
    (found,) = clusters[clusters["significant"]].itertuples()
    assert found.emotion == "FEAR"
    at = np.array([found.peak_i, found.peak_j, found.peak_k])
    assert np.abs(at - PEAK).max() <= 1
    np.testing.assert_allclose([found.peak_x, found.peak_y, found.peak_z], (space.affine @ [*at, 1])[:3], atol=1e-3)
    assert found.region == found.peak_region == "three"
    assert region[tuple(at)] == 3
    images = {name: nib.load(folder / f"FEAR_{name}.nii.gz") for name in ("saliency", "corrected", "p")}
    corrected, saliency, p = (images[name].get_fdata() for name in ("corrected", "saliency", "p"))
    np.testing.assert_allclose(images["corrected"].affine, space.affine)
    assert np.count_nonzero(corrected) == found.voxels
    assert corrected[tuple(at)] == saliency[tuple(at)] == pytest.approx(found.peak, rel=1e-5)
    inside = corrected != 0
    np.testing.assert_array_equal(corrected[inside], saliency[inside])
    assert p[inside].max() <= 0.02
    assert (p[~space.mask] == 1).all()
    assert found.mm3 == pytest.approx(found.voxels * abs(np.linalg.det(space.affine[:3, :3])))
    assert (folder / "clusters.png").is_file()
    assert (folder / "clusters.svg").is_file()


def test_the_report_shows_the_clusters_and_how_they_were_tested(run, monkeypatch):
    # The other figures have tests of their own, and take seconds.
    monkeypatch.setattr("launcher.report.figures.draw", lambda *arguments: ())
    assert significant_maps.read(run) == []
    (folder,) = write_saliency_maps(run, options())
    html = write_report(run).read_text()
    assert "<h3>group, lr-0.001</h3>" in html
    assert (
        "3 single-subject models, each weighted equally, compared with 19 trainings on permuted labels of each" in html
    )
    assert 'alt="Significant clusters (group, lr-0.001)"' in html
    (folder / "method.json").write_text("{")
    with pytest.raises(UserError, match=r"method\.json: cannot be read .*; delete the folder"):
        significant_maps.read(run)


def test_a_single_subject_is_tested_by_its_permutations_alone_and_what_was_there_before_is_gone(run):
    (folder,) = write_saliency_maps(run, options(ClusterTest(voxel_p=0.05), model="sub-02"))
    assert folder.name == "sub-02"
    assert "model sub-02, compared with 19 trainings on permuted labels." in (folder / "method.json").read_text()
    first = {path.name for path in folder.iterdir()}
    (folder / "JOY_corrected.nii.gz").touch()
    write_saliency_maps(run, options(ClusterTest(voxel_p=0.05), model="sub-02"))
    assert {path.name for path in folder.iterdir()} == first


def test_too_few_permutations_are_one_line_with_what_is_needed(run):
    with pytest.raises(UserError, match=r"sub-01: 19 permutations: .* needs 999; launch with more --permutations"):
        write_saliency_maps(run, options(ClusterTest(), model="sub-01"))
    with pytest.raises(UserError, match=r"--model pooled: no finished trial in lr-0\.001; there are group, sub-01"):
        write_saliency_maps(run, options(model="pooled"))
    with pytest.raises(UserError, match=r"condition lr-1: no finished trial; the run has lr-0\.001"):
        write_saliency_maps(run, options(condition="lr-1"))


def test_subjects_on_other_grids_have_no_group_map_but_maps_of_their_own(run, space):
    moved = space.affine.copy()
    moved[0, 3] += 1
    other = BrainSpace(moved, space.mask, space.mean)
    for k in range(PERMUTATIONS + 1):
        store(run, trial("02", k), other)
    with pytest.raises(UserError, match=r"group: a mean map needs one grid, and sub-02 .*--model sub-02"):
        write_saliency_maps(run, options())
    (folder,) = write_saliency_maps(run, options(ClusterTest(voxel_p=0.05), model="sub-02"))
    np.testing.assert_allclose(nib.load(folder / "FEAR_saliency.nii.gz").affine, moved)


def test_folds_count_by_their_volumes_and_an_emotion_that_a_fold_lacks_is_no_obstacle(tmp_path, tiny_packed, space):
    trials = [trial("01", k, fold) for k in range(27) for fold in (1, 2)]
    run = finished_run.make(tmp_path / "run", trials)
    Sources(tiny_packed, tmp_path).write(run.path)
    for one in trials:
        store(run, one, space, "LOVE" if one.fold == 2 and one.permutation % 2 else "FEAR", n=one.fold)
    (folder,) = write_saliency_maps(run, options(ClusterTest(voxel_p=0.08, cluster_p=0.08)))
    assert not (folder / "LOVE_p.nii.gz").exists()
    names = [trial("01", 0, fold).name for fold in (1, 2)]
    stored = [stored_maps.read(run.maps / "trials" / SETTINGS.name, run.trial(name)) for name in names]
    expected = (stored[0].map_of("FEAR") + 2 * stored[1].map_of("FEAR")) / 3
    found = nib.load(folder / "FEAR_saliency.nii.gz").get_fdata()[space.mask]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_maps_of_trained_models_are_made_once_and_again_only_for_a_new_result(
    tmp_path, tiny_packed, tiny_labels, capsys, monkeypatch
):
    plan = {"subjects": ["01"], "pooled": False, "permutations": 4}
    run = trained_run.make(tmp_path / "run", tiny_packed, tiny_labels, **plan)
    settings = MapSettings(steps=2, most=1)
    wanted = MapsOptions(settings, ClusterTest(voxel_p=0.2, cluster_p=0.2))
    make, made = stored_maps.make, []

    def interrupted(folder, directory, *rest):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(directory.path.name)
        return make(folder, directory, *rest)

    monkeypatch.setattr(stored_maps, "make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_saliency_maps(run, wanted)
    monkeypatch.undo()
    folder = run.maps / "trials" / settings.name
    assert sorted(path.stem for path in folder.iterdir()) == sorted(made)
    (results,) = write_saliency_maps(run, wanted)
    stored_names = [path.stem for path in folder.iterdir()]
    assert "maps of 5 trials: 2 are stored, 3 are to be made" in capsys.readouterr().err
    trained = load_trained(
        run.trial(next(name for name in stored_names if "perm" not in name)), tiny_packed, tiny_labels
    )
    for one in explanation.maps_by(saliency.INTEGRATED_GRADIENTS, trained, Options(most=1, steps=2)):
        found = nib.load(results / f"{one.emotion}_saliency.nii.gz").get_fdata()
        np.testing.assert_allclose(found, one.volume, rtol=1e-4, atol=1e-6)
    # One of another result, and one that is damaged.
    first, second = sorted(folder.iterdir())[:2]
    trained_run.reseal(run.trial(first.stem))
    result = json.loads(run.trial(first.stem).result.read_text())
    run.trial(first.stem).result.write_text(json.dumps(result, indent=2))
    second.write_bytes(second.read_bytes()[:-50])
    write_saliency_maps(run, wanted)
    said = capsys.readouterr().err
    assert f"{second}: cannot be read" in said
    assert "3 are stored, 2 are to be made" in said
    assert not list(run.maps.rglob(".partial*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--voxel-p", "0"), "--voxel-p 0: not between"), (("--atlas-labels", "a.tsv"), "--atlas-labels: give --atlas")],
)
def test_wrong_options_are_one_line(tmp_path, refusal, words, said):
    (tmp_path / "plan.tsv").touch()
    assert said in refusal("launcher.cli", "maps", tmp_path, *words)
