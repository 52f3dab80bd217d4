import numpy as np
import pytest

from mjxhuman.scenes.convex import box_corners, hull_mesh, join
from mjxhuman.scenes.mesh import areas_and_normals, components, sample_surface, winding_number
from mjxhuman.scenes.types import Mesh

PLATE = hull_mesh(box_corners([0.2, 0.2, 0.02], [0, 0, 0.4]))


def test_normals_of_a_hull_point_outwards_and_areas_are_those_of_a_box():
    areas, normals = areas_and_normals(PLATE)
    assert areas.sum() == pytest.approx(2 * 0.16 + 4 * 0.016)
    centres = PLATE.vertices[PLATE.faces].mean(1) - [0, 0, 0.4]
    assert (np.einsum("mi,mi->m", normals, centres) > 0).all()


def test_a_closed_mesh_winds_once_around_what_is_inside_and_an_open_one_partly():
    points = np.array([[0, 0, 0.4], [0.19, 0.19, 0.415], [0, 0, 0.43], [1, 0, 0.4]])
    np.testing.assert_allclose(winding_number(PLATE, points), [1, 1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(winding_number(join([PLATE, PLATE]), points), [2, 2, 0, 0], atol=1e-12)
    half = winding_number(Mesh(PLATE.vertices, PLATE.faces[:-1]), points[:1])
    assert 0.4 < half[0] < 1


def test_samples_lie_on_the_surface_evenly_and_the_same_for_a_seed():
    points, normals = sample_surface(PLATE, 1024, seed=3)
    off = np.abs(np.abs(points - [0, 0, 0.4]) - [0.2, 0.2, 0.02])
    assert off.min(1).max() < 1e-12
    share = np.mean(normals[:, 2] > 0.9)
    assert share == pytest.approx(0.16 / 0.384, abs=0.03)
    quarters = np.histogram2d(*points[normals[:, 2] > 0.9, :2].T, bins=2)[0]
    assert quarters.min() > 0.9 * quarters.max()
    np.testing.assert_array_equal(points, sample_surface(PLATE, 1024, seed=3)[0])
    assert not np.array_equal(points, sample_surface(PLATE, 1024, seed=4)[0])


def test_faces_inside_another_component_get_no_samples():
    leg = hull_mesh(box_corners([0.05, 0.05, 0.2], [0, 0, 0.2]))  # its top is in the middle of the plate
    both = join([PLATE, leg])
    assert components(both).max() == 1
    points, normals = sample_surface(both, 512)
    inside = np.abs(points - [0, 0, 0.4]) < [0.1999, 0.1999, 0.0199]
    assert not inside.all(1).any()
    # the underside of the plate that the leg covers is not seen either
    below = (np.abs(points[:, :2]) < 0.049).all(1) & (np.abs(points[:, 2] - 0.38) < 1e-9) & (normals[:, 2] < 0)
    assert not below.any()


def test_a_mesh_without_area_has_no_samples():
    with pytest.raises(ValueError, match="expected faces with an area, found 1 of 0 m2"):
        sample_surface(Mesh(np.zeros((3, 3)), np.array([[0, 1, 2]])), 8)
