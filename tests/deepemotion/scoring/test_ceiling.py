"""The observers' ceiling and the share of it that a decoder reaches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deepemotion.scoring.ceiling import in_words, observers_ceiling, write

N, CLASSES = 60, 3
LABEL = np.repeat(np.arange(N // 5) % CLASSES, 5)
BLOCK = np.arange(N) // 5
counts = arrays(np.int64, N, elements=st.integers(0, 9)).map(lambda values: values.astype(np.float64))


@given(counts, st.floats(0, 1))
def test_the_ceiling_is_a_ratio_of_sums(compared, skill):
    ceiling = observers_ceiling(compared, skill * compared, LABEL, BLOCK, CLASSES)
    if compared.sum() == 0:
        assert np.isnan([ceiling.overall.value, ceiling.overall.low]).all()
        return
    assert ceiling.overall.value == pytest.approx(skill)
    # Every sample of blocks has the same share of right observers.
    assert (ceiling.overall.low, ceiling.overall.high) == pytest.approx((skill, skill))
    for number, one in enumerate(ceiling.by_class):
        known = compared[number == LABEL].sum() > 0
        assert one.value == pytest.approx(skill) if known else np.isnan(one.value)
    assert ceiling.share is None


def test_a_decoder_as_good_as_an_observer_has_a_share_of_one():
    right = np.random.default_rng(0).integers(0, 2, N).astype(float)
    ceiling = observers_ceiling(np.ones(N), right, LABEL, BLOCK, CLASSES, correct=right)
    assert ceiling.share is not None
    # In each sample it answers as the observer does, so that its share does not vary although both scores do.
    assert (ceiling.share.value, ceiling.share.low, ceiling.share.high) == pytest.approx((1, 1, 1))
    assert ceiling.overall.low < ceiling.overall.value < ceiling.overall.high


def test_volumes_without_a_comparison_count_for_the_decoder_alone():
    compared = np.r_[np.full(30, 4.0), np.zeros(30)]
    correct = np.r_[np.zeros(30), np.ones(30)]
    ceiling = observers_ceiling(compared, 0.5 * compared, LABEL, BLOCK, CLASSES, correct)
    assert ceiling.overall.value == pytest.approx(0.5)
    assert ceiling.share is not None
    assert ceiling.share.value == pytest.approx(0.5 / 0.5)


def test_one_stretch_of_the_movie_gives_no_interval():
    ceiling = observers_ceiling(np.ones(5), np.ones(5), np.zeros(5, int), np.zeros(5, int), CLASSES, np.ones(5))
    assert ceiling.overall.value == 1
    assert np.isnan([ceiling.overall.low, ceiling.overall.high]).all()
    assert in_words(ceiling, ["ANGER", "FEAR", "LOVE"]) == "100.0 %: ANGER 100.0"


def test_it_is_written_by_class(tmp_path):
    ceiling = observers_ceiling(np.ones(N), (LABEL == 0).astype(float), LABEL, BLOCK, CLASSES)
    write(tmp_path / "ceiling.tsv", ceiling, ["ANGER", "FEAR", "LOVE"])
    lines = (tmp_path / "ceiling.tsv").read_text().splitlines()
    assert lines[0] == "class\tceiling\tlow\thigh"
    assert [line.split("\t")[:2] for line in lines[1:]] == [
        ["ALL", "0.3333"],
        ["ANGER", "1.0000"],
        ["FEAR", "0.0000"],
        ["LOVE", "0.0000"],
    ]
