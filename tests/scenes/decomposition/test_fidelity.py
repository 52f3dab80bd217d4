"""Pieces held against their mesh: what is the same passes, what differs by more than the tolerance is named."""

import numpy as np
import pytest
import trimesh

from mjxhuman.scenes.convex import box_corners, pack
from mjxhuman.scenes.decomposition.columns import grid_over, mesh_crossings, parts_crossings, solid_volume, tops
from mjxhuman.scenes.decomposition.fidelity import measure
from mjxhuman.scenes.decomposition.hulls import hull_corners
from mjxhuman.scenes.types import Mesh

SEAT = ([0.2, 0.2, 0.02], [0.0, 0.0, 0.43])
LEGS = [([0.02, 0.02, 0.205], [x, y, 0.205]) for x in (-0.17, 0.17) for y in (-0.17, 0.17)]
BACK = ([0.2, 0.015, 0.25], [0.0, 0.185, 0.7])
CHAIR = [SEAT, *LEGS, BACK]


def _mesh(boxes) -> Mesh:
    made = [
        trimesh.creation.box(2 * np.array(half), trimesh.transformations.translation_matrix(at)) for half, at in boxes
    ]
    one = trimesh.util.concatenate(made)
    return Mesh(np.asarray(one.vertices), np.asarray(one.faces))


def _parts(boxes):
    return pack([box_corners(*box) for box in boxes])


def _moved(box, half=(0.0, 0.0, 0.0), at=(0.0, 0.0, 0.0)):
    return np.add(box[0], half), np.add(box[1], at)


def test_pieces_of_the_same_shape_are_fit():
    found = measure(_mesh(CHAIR), _parts(CHAIR))
    assert found.unfit == ""
    assert (found.support, found.volume) == pytest.approx((1.0, 1.0), abs=1e-6)
    assert (found.excess, found.feet, found.box, found.top) == pytest.approx((0.0, 0.0, 0.0, 0.0), abs=1e-6)


UP, WIDER = [0, 0, 0.003], [_moved(b, at=np.sign(b[1]) * [0.02, 0.02, 0]) for b in LEGS]
WRONG = {
    "a leg is missing": ([SEAT, *LEGS[1:], BACK], {"support", "feet"}, "a foot ends 410.0 mm"),
    "a leg ends 3 mm higher": ([SEAT, _moved(LEGS[0], at=UP), *LEGS[1:], BACK], {"feet"}, "a foot ends 3.0 mm"),
    "a leg ends 6 mm higher": (
        [SEAT, _moved(LEGS[0], at=[0, 0, 0.006]), *LEGS[1:], BACK], {"support", "feet"}, "a foot ends 6.0 mm"),
    "a leg is 3 mm longer": (
        [SEAT, _moved(LEGS[0], [0, 0, 0.003]), *LEGS[1:], BACK], {"box", "feet"}, "bounding box 3.0 mm"),
    "feet stand wider": ([SEAT, *WIDER, BACK], {"support", "box"}, "beside"),
    "the seat is 8 mm lower": ([_moved(SEAT, at=[0, 0, -0.008]), *LEGS, BACK], {"top"}, "mm off (expected 5.0 mm)"),
    "the back is 4 mm lower": ([SEAT, *LEGS, _moved(BACK, at=[0, 0, -0.004])], {"box"}, "4.0 mm"),
    "a shelf too many": ([*CHAIR, ([0.15, 0.15, 0.01], [0, 0, 0.35])], {"top", "volume"}, "sit or put things on"),
    "the seat is thin": ([_moved(SEAT, [0, 0, -0.01], [0, 0, 0.01]), *LEGS, BACK], {"volume"}, "0.78 of"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_differs_is_named(name):
    boxes, misses, words = WRONG[name]
    found = measure(_mesh(CHAIR), _parts(boxes))
    assert misses <= set(found.misses), found
    assert set(found.misses) - misses <= {"volume", "top"}, found
    assert words in found.unfit


def test_what_nobody_sits_on_may_be_off_where_there_is_a_seat():
    shelf = ([0.15, 0.15, 0.01], [0.0, 0.0, 0.15])
    found = measure(_mesh([*CHAIR, shelf]), _parts([*CHAIR, _moved(shelf, at=[0, 0, -0.008])]))
    assert found.unfit == ""
    alone = measure(_mesh([shelf]), _parts([_moved(shelf, [0, 0, -0.004], [0, 0, -0.004])]))
    assert "top" in alone.misses  # nothing else carries


def test_a_hull_over_a_hollow_is_unfit():
    corners = np.concatenate([box_corners(*box) for box in CHAIR])
    found = measure(_mesh(CHAIR), pack([hull_corners(corners)]))
    assert {"top", "volume"} <= set(found.misses)
    assert found.support == pytest.approx(1.0)


def test_lines_measure_overlapping_solids_once_and_see_through_no_open_shell():
    overlapping = [([0.1, 0.1, 0.1], [0, 0, 0.1]), ([0.1, 0.1, 0.1], [0.1, 0, 0.1])]
    grid = grid_over(np.array([-0.1, -0.1]), np.array([0.2, 0.1]), 2e-3, 100_000)
    for crossings in (mesh_crossings(_mesh(overlapping), grid), parts_crossings(_parts(overlapping), grid)):
        assert solid_volume(crossings, grid) == pytest.approx(0.3 * 0.2 * 0.2, rel=2e-2)
        points, slope = tops(crossings, grid, 5e-3)
        np.testing.assert_allclose(points[:, 2], 0.2, atol=1e-12)
        np.testing.assert_allclose(slope, 1.0)
    for air, heights in ((4e-3, {0.42}), (6e-3, {0.40, 0.42})):  # nothing is put down in a slit
        slit = [([0.1, 0.1, 0.2], [0, 0, 0.2]), ([0.1, 0.1, 0.01 - air / 2], [0, 0, 0.41 + air / 2])]
        points, _ = tops(mesh_crossings(_mesh(slit), grid), grid, 5e-3)
        assert {round(float(z), 6) for z in points[:, 2]} == heights
    plate, post = _mesh([([0.3, 0.3, 0.02], [0, 0, 0.5])]), _mesh([([0.05, 0.05, 0.24], [0, 0, 0.24])])
    up = np.cross(*(post.vertices[post.faces][:, k] - post.vertices[post.faces][:, 0] for k in (1, 2)))[:, 2] > 0
    open_post = post.faces[~up] + len(plate.vertices)  # runs up to the plate and has no top of its own
    both = Mesh(np.concatenate([plate.vertices, post.vertices]), np.concatenate([plate.faces, open_post]))
    grid = grid_over(np.array([-0.3, -0.3]), np.array([0.3, 0.3]), 1e-2, 100_000)
    points, _ = tops(mesh_crossings(both, grid), grid, 5e-3)
    assert len(points) == grid.shape[0] * grid.shape[1]
    np.testing.assert_allclose(points[:, 2], 0.52, atol=1e-12)
    pieces = _parts([([0.3, 0.3, 0.02], [0, 0, 0.5]), ([0.05, 0.05, 0.24], [0, 0, 0.24])])
    assert measure(both, pieces).volume == pytest.approx(1.0, abs=1e-6)  # the hidden face is no matter,
    open_plate = Mesh(plate.vertices, plate.faces[np.ptp(plate.vertices[plate.faces][:, :, 2], axis=1) > 0])
    assert np.isnan(measure(open_plate, pieces).volume)  # a frame without top and bottom encloses nothing
