"""Where clusters are: peaks in mm and regions, however volumes are stored; and the names of regions."""

import nibabel as nib
import numpy as np
import pytest
from atlas_image import write_atlas
from scipy.ndimage import label

from deepemotion.errors import UserError
from deepemotion.scoring.cluster_test import ClusterTest, find_clusters
from deepemotion.subject_file.reader import SubjectFile
from deepemotion.trained import region_names
from deepemotion.trained.brain_space import BrainSpace
from deepemotion.trained.cluster_figure import MOST_CLUSTERS, ShownCluster, cluster_figure
from deepemotion.trained.cluster_table import Regions, cluster_table

SHAPE = (7, 9, 5)
MASK = np.ones(SHAPE, bool)
MASK[0], MASK[:, -1] = False, False
# The first axis runs to the front, the second downwards, the third to the left, with an offset for each.
AFFINE = np.array([[0, 0, -2.5, 31], [1.5, 0, 0, -42], [0, -3, 0, 17], [0, 0, 0, 1]], float)
SPACE = BrainSpace(AFFINE, MASK, MASK.astype(np.float32))
TEST = ClusterTest(voxel_p=0.05)


def clusters_of(volume):
    maps = np.zeros((1, 20, np.count_nonzero(MASK)), np.float32)
    maps[0, 0] = volume[MASK]
    return find_clusters(maps, MASK, TEST)


def two_clusters():
    volume = np.zeros(SHAPE, np.float32)
    volume[2:4, 5:8, 1] = 1
    volume[3, 6, 1] = 4
    volume[5, 1, 3:5] = [2, 3]
    return volume


def test_peaks_are_where_the_image_has_them_in_mm():
    table = cluster_table(clusters_of(two_clusters()), SPACE, None)
    assert table["voxels"].tolist() == [6, 2]
    assert table["mm3"].tolist() == [6 * 2.5 * 1.5 * 3, 2 * 2.5 * 1.5 * 3]
    assert table[["peak_i", "peak_j", "peak_k"]].to_numpy().tolist() == [[3, 6, 1], [5, 1, 4]]
    assert table["peak"].tolist() == [4, 3]
    # x from the third axis, y from the first, z from the second.
    expected = [[31 - 2.5, -42 + 4.5, 17 - 18], [31 - 10, -42 + 7.5, 17 - 3]]
    np.testing.assert_allclose(table[["peak_x", "peak_y", "peak_z"]], expected)
    for row in table.itertuples():
        upright = SPACE.upright_image(two_clusters())
        at = np.linalg.inv(upright.affine) @ [row.peak_x, row.peak_y, row.peak_z, 1]
        assert upright.get_fdata()[tuple(at[:3].round().astype(int))] == row.peak


def test_a_cluster_is_in_the_region_that_holds_most_of_it():
    region = np.zeros(SHAPE, np.int64)
    region[:, 5:], region[3, 6, 1] = 2, 9
    table = cluster_table(clusters_of(two_clusters()), SPACE, Regions(region, {2: "insula"}))
    assert table["region"].tolist() == ["insula", "none"]
    assert table["peak_region"].tolist() == ["region 9", "none"]
    np.testing.assert_allclose(table["region_share"], [5 / 6, 1])


def test_no_cluster_is_a_table_of_no_rows():
    table = cluster_table(clusters_of(np.zeros(SHAPE, np.float32)), SPACE, Regions(np.zeros(SHAPE, np.int64)))
    assert len(table) == 0
    assert {"significant", "region", "peak_z"} <= set(table.columns)


def test_an_atlas_is_read_on_the_axes_of_its_image(tiny_packed, tmp_path):
    with SubjectFile.of(tiny_packed, "01") as file:
        region = np.arange(np.prod(file.shape)).reshape(file.shape) % 97
        image = write_atlas(tmp_path / "atlas.nii.gz", region, file.affine)
        np.testing.assert_array_equal(Regions.read(image, None, file).region, region)
        nib.save(nib.Nifti1Image(region.astype(np.int16), AFFINE), image)
        with pytest.raises(UserError, match="another affine"):
            Regions.read(image, None, file)


@pytest.mark.parametrize(
    "text",
    [
        "index\tname\tcolour\n1\tLeft insula\tred\n12\tamygdala\tblue\n",
        "name,Index\nLeft insula,1\namygdala,12\n",
    ],
)
def test_names_of_regions_are_read_from_a_table(tmp_path, text):
    path = tmp_path / "names.tsv"
    path.write_text(text)
    assert region_names.read(path) == {1: "Left insula", 12: "amygdala"}


def test_names_of_regions_are_read_from_numbered_lines(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("# No. name R G B\n\n1  Insula_L 205 62 78 0\n12 Amygdala_R 103 255 255 0\n")
    assert region_names.read(path) == {1: "Insula_L", 12: "Amygdala_R"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("index\tcolour\n1\tred\n", "no 'name'"),
        ("1 a\n1 b\n", "two names for region 1"),
        ("one insula\n", "invalid literal"),
        ("7\n", "has no name"),
        ("# nothing\n", "no region"),
        ("", "no region"),
    ],
)
def test_what_names_no_regions_is_one_line(tmp_path, text, said):
    path = tmp_path / "names.tsv"
    path.write_text(text)
    with pytest.raises(UserError, match=f"{said}.*give a table with the columns index and name") as caught:
        region_names.read(path)
    assert "\n" not in str(caught.value)


def test_the_figure_shows_each_cluster_at_its_peak_and_says_how_many_it_leaves_out():
    volume = two_clusters()
    assert label(volume > 0)[1] == 2
    peak = tuple((AFFINE @ [3, 6, 1, 1])[:3])
    figure = cluster_figure(
        [ShownCluster("Love, cluster 1", volume, peak)] * (MOST_CLUSTERS + 1), SPACE, "T", "A note."
    )
    said = [text.get_text() for text in figure.texts]
    assert said.count("Love, cluster 1") == MOST_CLUSTERS
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "1 more cluster is in the table." in caption
    assert caption.endswith("A note.")
    places = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"x=28.5", "y=-37.5", "z=-1.0"} <= places
