"""What alignment refuses, and where it has no effect."""

import pytest
import torch
from aligned_samples import METHODS, aligned, dense, trial

from deepemotion.errors import UserError


def test_a_single_subject_is_left_as_it_is_and_told(tiny_packed, tiny_labels):
    said = []
    alone = aligned(tiny_packed, tiny_labels, trial(subjects=["01"], unseen=[]), said.append)
    plain = aligned(tiny_packed, tiny_labels, trial(subjects=["01"], unseen=[], method="none"))
    assert torch.equal(dense(alone), dense(plain))
    assert said == ["align.method=srm has no effect on a single subject"]


@pytest.mark.parametrize(
    ("override", "match"),
    [
        ("split.protocol=random", r"alignment would leak; use run or block"),
        ("data.normalisation=none", r"use zscore, zscore\+detrend or psc"),
        ("align.features=100", r"align\.features=100: .*subject 01.* allow at most \d\d; lower align\.features"),
    ],
)
@METHODS
def test_what_cannot_be_aligned_is_refused_in_a_line(tiny_packed, tiny_labels, override, match, method):
    with pytest.raises(UserError, match=match):
        aligned(tiny_packed, tiny_labels, trial(override, method=method))


def test_the_most_features_that_are_allowed_work(tiny_packed, tiny_labels):
    with pytest.raises(UserError) as refused:
        aligned(tiny_packed, tiny_labels, trial("align.features=100"))
    most = int(str(refused.value).split("at most ")[1].split(";")[0])
    assert torch.isfinite(dense(aligned(tiny_packed, tiny_labels, trial(f"align.features={most}")))).all()
