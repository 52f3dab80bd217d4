"""Legs turned for the solver are the legs of the motion that is handed back, within their ranges."""

import jax.numpy as jnp
import numpy as np
import pytest
from box_chair import SEAT, chair, scene_of

import mjxhuman
from mjxhuman.alignment import seated, skin_of
from mjxhuman.alignment.legs import beyond_ranges, legs_of, limbs_of, placement, with_legs
from mjxhuman.interaction import poses
from mjxhuman.scenes.convex import box_corners

pytestmark = pytest.mark.compiled

ANGLES = np.array([[[0.3, -0.2, 0.1, -0.4], [-0.1, 0.25, -0.3, 0.2]]])


@pytest.mark.parametrize("layout", ["ball", "hinge"])
def test_limbs_of_the_solver_go_where_the_motion_has_them(layout):
    humanoid = mjxhuman.load_humanoid(layout=layout)
    motion = seated(humanoid, SEAT)
    frames, shift = np.arange(1), np.array([[0.1, -0.2, 0.05]])
    skin = skin_of(humanoid)
    points = skin.posed(np.asarray(motion.body_pos)[:1], np.asarray(motion.body_quat)[:1])[0]
    put = placement(legs_of(motion, frames), jnp.asarray(shift), jnp.asarray(ANGLES))
    own = np.asarray(put.points(jnp.asarray(points), jnp.asarray(limbs_of(humanoid)[skin.body])))
    turned = with_legs(motion, np.repeat(shift, motion.num_frames, 0), np.repeat(ANGLES, motion.num_frames, 0))
    other = skin.posed(np.asarray(turned.body_pos)[:1], np.asarray(turned.body_quat)[:1])[0]
    np.testing.assert_allclose(own, other, atol=1e-5)
    moved = np.linalg.norm(other - points - shift, axis=-1)[0]
    parts = [skin.names.index(name) for name in ("Back", "L_Thigh", "R_Shank")]
    assert [float(moved[skin.part == p].max()) > 0.02 for p in parts] == [False, True, True]
    foot = np.asarray(motion.body_quat)[0, humanoid.body_names.index("L_Ankle")]
    same = np.asarray(turned.body_quat)[0, humanoid.body_names.index("L_Ankle")]
    assert abs(float(foot @ same)) == pytest.approx(1.0, abs=1e-5)  # soles keep how they lie


def test_points_that_differ_between_frames_are_on_the_limbs_of_their_frames():
    """What a contact touches is another point, on another limb, in every frame of a clip."""
    motion = seated(mjxhuman.load_humanoid(), SEAT)
    angles = np.concatenate([ANGLES, -ANGLES])
    put = placement(legs_of(motion, np.arange(2)), jnp.asarray(np.zeros((2, 3))), jnp.asarray(angles))
    points, limb = jnp.asarray(np.arange(12.0).reshape(2, 2, 3)), np.array([[1, 4], [0, 2]])
    found = np.asarray(put.points(points, jnp.asarray(limb)))
    assert found.shape == points.shape
    for frame in (0, 1):
        own = put.points(points, jnp.asarray(limb[frame]))[frame]
        np.testing.assert_allclose(found[frame], own, atol=1e-6)


def test_joints_pay_for_what_is_beyond_their_ranges():
    """A knee that is bent by 90 degrees pays for more than 65 more, and for being stretched too far, on both sides."""
    legs = legs_of(seated(mjxhuman.load_humanoid(), SEAT), np.arange(1))

    def beyond(side, joint, angle):
        angles = np.zeros((1, 2, 4))
        angles[0, side, joint] = angle
        return np.abs(np.asarray(beyond_ranges(legs, jnp.asarray(angles))))[0, side]

    assert not beyond(0, 3, 0.0).any()
    for side in (0, 1):
        assert beyond(side, 3, 1.6)[1, 0] > 0.5 and not beyond(side, 3, 0.8)[1].any()
        assert beyond(side, 3, -1.9)[1, 0] > 1 and not beyond(side, 3, -1.2)[1].any()
        assert beyond(side, 1, -1.4)[0].max() > 1 and not beyond(side, 1, -0.3)[0].any()  # thighs up, facing +x


@pytest.mark.slow  # compiles for half a minute
def test_who_sat_lower_puts_thighs_and_soles_down_on_a_higher_seat():
    low = seated(mjxhuman.load_humanoid(), 0.30)
    stool = chair("stool", [box_corners([0.2, 0.2, 0.02], [0, 0, 0.36])])
    found = mjxhuman.align(low, scene_of(stool, at=[(0.03, 0.0)]), contacts=[("Pelvis", "stool")], legs=True)
    assert found.converged and found.shift[0, 2] > 0.07, found.reason
    skin = skin_of(low.humanoid)
    points = skin.posed(np.asarray(found.motion.body_pos)[0], np.asarray(found.motion.body_quat)[0])[0]
    soles = [points[skin.part == skin.names.index(name), 2].min() for name in ("L_Foot", "R_Foot")]
    np.testing.assert_allclose(soles, 0.0, atol=0.005)  # without legs, they are as far above the floor as it was moved


@pytest.mark.slow  # compiles for half a minute
def test_who_sits_down_and_rises_by_recipe_touches_the_seat_while_seated():
    humanoid, height = mjxhuman.load_humanoid(), 0.45
    stool = chair("stool", [box_corners([0.235, 0.25, height / 2], [0, 0, height / 2])])
    motion = poses.sitting(humanoid, height, rise=True)
    found = mjxhuman.align(motion, scene_of(stool, at=[(-0.115, 0.0)]), legs=True)
    assert found.converged, found.reason
    pelvis = next(fit.contact for fit in found.contacts if fit.contact.part == "Pelvis")
    seconds = np.array([pelvis.start, pelvis.stop]) * motion.dt
    np.testing.assert_allclose(seconds, [2.2, 5.4], atol=0.2)  # down after 0.8 + 1.6 s, up 0.9 + 0.8 + 1.0 s later
    assert not [fit.contact for fit in found.contacts if "Hand" in fit.contact.part]
