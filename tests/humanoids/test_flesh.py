"""What furniture meets of a body is what is drawn of it, and where nothing is drawn as thick."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

import mjxhuman
from mjxhuman.humanoids import geometry
from mjxhuman.humanoids.anatomy import describe
from mjxhuman.humanoids.contacts import furniture_points
from mjxhuman.humanoids.flesh import flesh_of
from mjxhuman.humanoids.proportions import DEFAULT_STATURE
from mjxhuman.humanoids.skin import SKIN_GROUP


def drawn(humanoid, body):
    model = humanoid.model
    return [g for g in range(model.ngeom) if model.geom_bodyid[g] == body and model.geom_group[g] == SKIN_GROUP]


def test_limbs_are_as_drawn_and_nothing_is_3_mm_outside(humanoid) -> None:
    model, ways = humanoid.model, np.random.default_rng(0).normal(size=(2000, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    found = flesh_of(humanoid)
    for body in {shape.body for shape in found}:
        own, geoms = [shape for shape in found if shape.body == body], drawn(humanoid, body)
        assert len(own) == len(geoms)
        for (_, ends, radius), geom in zip(own, geoms, strict=True):
            reach = (ends @ ways.T).max(0) + radius
            if model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_ELLIPSOID:
                np.testing.assert_allclose([*ends.ravel(), radius], [*np.ravel(geometry.inner_capsule(model, geom)[0]),
                                           model.geom_size[geom, 0]])  # fmt: skip
                continue
            shown = np.linalg.norm(ways @ geometry.geom_rotation(model, geom) * model.geom_size[geom], axis=1)
            outside = reach - shown - ways @ model.geom_pos[geom]
            assert outside.max() < 0.003
            assert outside[np.argmin(shown)] == pytest.approx(0, abs=0.001)  # the flat side


@pytest.mark.parametrize("stature", [1.5, 1.9])
def test_thighs_taper_and_are_as_thick_as_the_points_that_scores_sit_on(stature) -> None:
    humanoid = mjxhuman.load_humanoid(stature=stature)
    thigh = humanoid.body_names.index("L_Hip")
    own = [shape for shape in flesh_of(humanoid) if shape.body == thigh]
    radii = [shape.radius * DEFAULT_STATURE / humanoid.stature for shape in own]
    np.testing.assert_allclose(radii, [0.085, 0.075, 0.061])
    np.testing.assert_allclose(own[-1].ends[1], humanoid.model.body("L_Knee").pos)
    points = furniture_points(humanoid)
    mine = np.flatnonzero(points.body_id == thigh)[-2:]
    np.testing.assert_allclose(points.offset[mine], [own[0].ends[1], own[1].ends[1]], atol=1e-12)
    np.testing.assert_allclose(points.radius[mine], [own[0].radius, own[1].radius])


def test_a_body_without_drawn_shapes_has_the_same_thighs(humanoid) -> None:
    spec = humanoid.spec.copy()
    for geom in [g for g in spec.geoms if g.group == SKIN_GROUP]:
        spec.delete(geom)
    bare = describe(spec, "bare", humanoid.stature)
    thighs = [[x[1:] for x in flesh_of(h) if x.body == 2] for h in (humanoid, bare)]
    for (ends, radius), (expected, thick) in zip(*thighs, strict=True):
        np.testing.assert_allclose(ends, expected, atol=1e-9)
        assert radius == pytest.approx(thick)
    assert {x.body for x in flesh_of(bare)} == {x.body for x in flesh_of(humanoid)}
