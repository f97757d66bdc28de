"""What labels alone score, and what it takes to beat that."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deepemotion.scoring.audit import COLUMNS, Audit, beats


def test_audit_copies_the_nearest_label_in_time():
    time, label = np.array([0.0, 2.0, 10.0, 12.0, 6.0]), np.array([0, 1, 1, 2, 0])
    result = Audit.of(time, label, np.array([0, 2]), np.array([1, 3, 4]), 3)
    # 2 s is nearest to 0 s (label 0, wrong); 12 s to 10 s (label 1, wrong); 6 s to 10 s (label 1, wrong).
    assert result.label_only == 0
    tie = Audit.of(time, label, np.array([1, 2]), np.array([4]), 3)
    assert tie.label_only == 0
    assert result.chance == pytest.approx(1 / 3)


@given(labels=st.lists(st.integers(0, 4), min_size=6, max_size=50), cut=st.integers(1, 5))
def test_majority_is_the_share_of_the_commonest_training_label(labels, cut):
    label = np.array(labels)
    training, validation = np.arange(cut, len(labels)), np.arange(cut)
    commonest = np.bincount(label[training]).argmax()
    found = Audit.of(2.0 * np.arange(len(label)), label, training, validation, 5)
    assert found.majority == np.mean(label[validation] == commonest)


def test_only_the_audit_of_another_side_has_the_name_of_that_side():
    audit = Audit(0.5, 0.25, 0.2)
    assert audit.columns("validation") == dict(zip(COLUMNS, (0.5, 0.25, 0.2), strict=True))
    assert list(audit.columns("unseen")) == ["label_only_accuracy_unseen", "majority_accuracy_unseen", "chance"]


def test_an_accuracy_beats_an_audit_if_it_exceeds_each_known_score():
    assert beats(0.51, (0.5, 0.25, 0.2))
    assert not beats(0.5, (0.5, 0.25, 0.2))
    assert not beats(0.99, (0.5, float("nan"), 0.2))
