"""What all figures have in common: style, captions and the order of models."""

from drawn_figures import CLASSES, table
from matplotlib.figure import Figure
from PIL import Image

from deepemotion.figures import one_emotion, style


def test_style_holds_in_a_figure_only_and_svg_keeps_text(tmp_path):
    import matplotlib

    before = matplotlib.rcParams.copy()
    figure = one_emotion.predictions_of_emotion(table(["LOVE"] * 4, ["LOVE"] * 4), "LOVE", CLASSES, "A title", "n = 4")
    style.save(figure, tmp_path, "pie")
    assert matplotlib.rcParams == before
    assert "A title" in (tmp_path / "pie.svg").read_text()
    with Image.open(tmp_path / "pie.png") as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 50


def test_captions_are_broken_into_lines_of_like_length():
    figure = Figure(figsize=(2, 1))
    style.caption(figure, "word " * 12)
    lengths = [len(line) for line in figure.get_supxlabel().splitlines()]
    assert len(lengths) > 1
    assert max(lengths) <= 36
    assert max(lengths) - min(lengths) < 15


def test_models_stand_in_the_order_single_pooled_others_by_number():
    names = ["held-out-11-15", "pooled", "sub-10", "held-out-5-10", "sub-02"]
    assert sorted(names, key=style.model_order) == ["sub-02", "sub-10", "pooled", "held-out-5-10", "held-out-11-15"]
