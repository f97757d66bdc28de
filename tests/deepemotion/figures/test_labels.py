import numpy as np
from matplotlib.patches import Rectangle

from deepemotion.figures import labels as label_figure
from deepemotion.labels.statistics import LabelStatistics

CLASS_OF = {"A": "ANGER", "B": "FEAR", "C": "ANGER", "D": "NONE"}


def test_the_figure_shows_each_label_and_says_how_many_answers_it_rests_on() -> None:
    given = np.zeros((2, 5, 4), dtype=bool)
    given[:, :2, 1] = given[0, 3, 0] = given[1, 2:, 2] = True
    figure = label_figure.draw(LabelStatistics.of(given, tuple(CLASS_OF)), CLASS_OF, "Simulated.")
    assert figure.get_supxlabel() == "Simulated. n = 2 observers, 5 movie times, 8 labels given."
    bars, matrix = figure.axes[:2]
    assert [tick.get_text() for tick in bars.get_yticklabels()] == ["B", "C", "A", "D"]
    assert [bar.get_bbox().width for bar in bars.patches if isinstance(bar, Rectangle)] == [4, 3, 1, 0]
    assert [tick.get_text() for tick in matrix.get_yticklabels()] == ["C", "A", "B", "D"]
