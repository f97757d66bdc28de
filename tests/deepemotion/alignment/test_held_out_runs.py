"""Features of runs that alignment has not seen, and what the command makes of them."""

import numpy as np
import pytest
import torch

from deepemotion import config_files
from deepemotion.alignment.held_out_runs import features_of, held_out_runs
from deepemotion.errors import UserError
from deepemotion.scoring.between_brains import agreement
from deepemotion.settings.schema import read_settings
from deepemotion.subject_file.folder import open_subjects

SUBJECTS, FEATURES, VOXELS, MOMENTS, LEFT_OUT = 6, 5, 80, 400, 150
METHODS = pytest.mark.parametrize("method", ["srm", "procrustes"])


def left_out_features(method, signal, noise, seed=0):
    """Return the features of the last moments of subjects who have the same response, each in voxels of its own."""
    rng = np.random.default_rng(seed)
    response = signal * rng.standard_normal((FEATURES, MOMENTS))
    bases = [np.linalg.qr(rng.standard_normal((VOXELS, FEATURES)))[0] for _ in range(SUBJECTS)]
    data = [basis @ response + noise * rng.standard_normal((VOXELS, MOMENTS)) for basis in bases]
    grams = [torch.from_numpy(x.T @ x) for x in data]
    fitted, left_out = torch.arange(MOMENTS - LEFT_OUT), torch.arange(MOMENTS - LEFT_OUT, MOMENTS)
    features, power = features_of(method, grams, fitted, left_out, FEATURES, VOXELS)
    np.testing.assert_allclose(power, [(x[:, -LEFT_OUT:] ** 2).sum() for x in data])
    return features.numpy(), power.numpy()


@METHODS
def test_brains_of_known_signal_and_noise_share_what_they_should(method):
    features, power = left_out_features(method, signal=2.0, noise=1.0)
    # In the common space, the signal's variance is 4 and the noise's 1.
    found = agreement(features)
    np.testing.assert_allclose(found.shared.mean(), 4 / 5, atol=0.04)
    np.testing.assert_allclose(found.with_mean.mean(), 1 / np.sqrt(5 / 4 * (1 + 1 / 4 / (SUBJECTS - 1))), atol=0.04)
    in_space = (features**2).sum(axis=(1, 2)) / power
    np.testing.assert_allclose(in_space, 5 * FEATURES / (4 * FEATURES + VOXELS), atol=0.04)


@METHODS
def test_alignment_finds_no_agreement_where_there_is_none(method):
    features, _ = left_out_features(method, signal=0.0, noise=1.0)
    found = agreement(features)
    assert np.abs(found.with_mean).max() < 0.15
    assert abs(found.shared.mean()) < 0.03


def test_the_command_shows_each_subject_and_writes_each_run(command, tiny_packed, tmp_path):
    out = tmp_path / "between.tsv"
    settings = ("--set", "align.features=8", "--set", "split.gap_s=0")
    done = command("deepemotion", "ceiling", tiny_packed, *settings, "--out", out)
    assert done.returncode == 0, done.stderr
    header, *rows = [line.split("\t") for line in out.read_text().splitlines()]
    assert header == ["alignment", "subject", "run", "with_mean", "shared", "in_space"]
    assert [row[1:3] for row in rows] == [[f"0{subject}", str(run)] for run in range(1, 9) for subject in (1, 2, 3)]
    assert all(0 < float(value) < 1 for row in rows for value in row[3:])
    assert done.stdout.splitlines()[-1].startswith("a brain correlates with the mean of the others by 0.")
    assert done.stdout.splitlines()[-1].endswith("(srm, 8 features; 3 subjects, each of 8 runs left out)")


@pytest.mark.parametrize(
    ("subjects", "override", "message"),
    [
        (["01"], "align.features=8", "needs at least 2 subjects"),
        (["01", "02"], "align.features=500", "align.features=500: without run 1, subjects share "),
        (["01", "02"], "data.normalisation=none", "data.normalisation=none"),
    ],
)
def test_what_cannot_be_compared_is_refused(tiny_packed, subjects, override, message):
    settings = read_settings(config_files.find("demo"), ["align.method=srm", override])
    with open_subjects(tiny_packed, subjects) as files, pytest.raises(UserError, match=message):
        list(held_out_runs(files, settings, torch.device("cpu"), lambda line: None))
