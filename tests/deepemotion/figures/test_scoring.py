"""The scores that figures compare a model with."""

import numpy as np
import pandas as pd
import pytest

from deepemotion.figures import scoring
from deepemotion.scoring.audit import beats


def test_scores_of_folds_are_weighed_by_their_volumes():
    trials = pd.DataFrame(
        {
            "label_only_accuracy": [0.2, 0.5],
            "label_only_accuracy_unseen": [1.0, 0.0],
            "majority_accuracy": 0.3,
            "chance": 0.2,
            "n_validation": [20, 10],
            "n_unseen": [3, 1],
        }
    )
    found = scoring.without_brain(trials)
    assert found == pytest.approx({"label_only_accuracy": 0.3, "majority_accuracy": 0.3, "chance": 0.2})
    unseen = scoring.without_brain(trials, "unseen")
    assert unseen["label_only_accuracy"] == 0.75
    assert np.isnan(unseen["majority_accuracy"])
    assert beats(0.31, found.values())
    assert not beats(0.3, found.values())
    # What cannot be compared is not called better.
    assert not beats(0.99, unseen.values())
