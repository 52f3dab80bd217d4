import numpy as np
import pytest

from mjxhuman.scenes.convex import box_corners, faces_of, pack


def test_the_faces_of_a_turned_box_hold_its_corners_and_nothing_more():
    angle = 0.4
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    planes = faces_of(box_corners([0.2, 0.1, 0.02], [1.0, 2.0, 0.4], turn))
    assert planes.shape == (6, 4)
    inside = np.array([1.0, 2.0, 0.4]) + [0.0, 0.0, 0.019]
    outside = np.array([1.0, 2.0, 0.4]) + turn @ [0.0, 0.101, 0.0]
    signed = [np.max(planes[:, :3] @ point - planes[:, 3]) for point in (inside, outside)]
    np.testing.assert_allclose(signed, [-0.001, 0.001], atol=1e-12)


def test_padding_repeats_pieces_and_says_so():
    parts = pack([box_corners([0.1, 0.1, 0.1]), box_corners([0.2, 0.1, 0.1], [0, 0, 1])])
    assert parts.vertices.shape == (8, 8, 3)
    assert parts.planes.shape == (8, 6, 4)
    np.testing.assert_array_equal(parts.mask, [True, True] + 6 * [False])
    np.testing.assert_array_equal(parts.vertices[5], parts.vertices[0])


@pytest.mark.parametrize(
    ("pieces", "count", "message"),
    [
        ([], 8, "expected 1 to 8, found 0"),
        ([box_corners([1, 1, 1])] * 3, 2, "expected 1 to 2, found 3"),
        ([box_corners([1, 1, 1]), box_corners([1, 1, 1])[:6]], None, r"one number of vertices, found \[6, 8\]"),
        ([box_corners([1, 1, 0])], None, "span a volume"),
    ],
)
def test_what_is_no_set_of_pieces_is_refused(pieces, count, message):
    with pytest.raises(ValueError, match=message):
        pack(pieces, count)
