"""Packing of arrays and clips."""

import dataclasses
import json

import mujoco
import numpy as np
import pytest

from mjxhuman.report import glossary
from mjxhuman.report.pack import (
    decode_array,
    drawable_geoms,
    dynamics_payload,
    encode_array,
    geom_shape,
    ground_payload,
    invalid_ranges,
    motion_payload,
    scores_payload,
    torque_share,
    worst_moments,
)
from mjxhuman.scenes import Plane


def test_the_ground_is_packed_where_the_surface_is(make_clip):
    clip = make_clip()
    pos = np.asarray(clip.motion.body_pos)[:, 1:]
    assert ground_payload(None, pos) is None and ground_payload(Plane(friction=np.float64(0.3)), pos) is None
    ramp = Plane(normal=np.array([-0.5, 0.0, 1.0]))
    assert motion_payload(clip, 100)["ground"] is None
    packed = json.loads(json.dumps(motion_payload(dataclasses.replace(clip, surface=ramp), 100)["ground"]))
    heights = decode_array(packed["heights"])
    x, y = (packed["origin"][k] + packed["step"] * np.arange(heights.shape[k]) for k in (0, 1))
    assert x[0] < pos[..., 0].min() - 1.9 and x[-1] > pos[..., 0].max() + 1.9 and max(heights.shape) <= 161
    assert y[0] < pos[..., 1].min() - 1.9 and y[-1] > pos[..., 1].max() + 1.9
    np.testing.assert_allclose(heights, np.broadcast_to(0.5 * x[:, None], heights.shape), atol=1e-3)


@pytest.mark.parametrize("shape", [(), (1,), (7, 3), (5, 4, 3), (0, 3)])
def test_arrays_survive_to_half_a_step(shape):
    x = np.random.default_rng(0).normal(0, 5, shape)
    packed = json.loads(json.dumps(encode_array(x)))
    back = decode_array(packed)
    assert back.shape == x.shape
    np.testing.assert_allclose(back, x, atol=0.5001 * packed["step"] + 1e-12)
    if x.size:
        assert packed["step"] <= max(np.ptp(x) / 65534, 1e-300) * 1.001 or np.ptp(x) == 0


def test_ten_metres_are_packed_finer_than_a_millimetre():
    x = np.random.default_rng(0).uniform(0, 10, (100, 3))
    assert np.abs(decode_array(encode_array(x)) - x).max() < 1e-4


def test_gaps_survive():
    x = np.array([1.0, np.nan, np.inf, -2.0, -np.inf])
    np.testing.assert_allclose(decode_array(encode_array(x)), [1, np.nan, np.nan, -2, np.nan], atol=1e-4)
    assert np.isnan(decode_array(encode_array(np.full(3, np.nan)))).all()
    np.testing.assert_array_equal(decode_array(encode_array(np.full(3, 4.25))), 4.25)


def test_long_clips_are_thinned_and_keep_their_worst(make_clip):
    clip = make_clip(frames=100)
    slip = np.ones(100)
    slip[13] = 0.2
    frames = clip.scores.frames | {"foot_slip": slip}
    clip = type(clip)(clip.name, clip.scores.replace(frames=frames), clip.motion, clip.dynamics)
    payload = motion_payload(clip, max_frames=30)
    assert (payload["frames"], payload["stride"]) == (100, 4)
    assert payload["pos"]["shape"] == [25, clip.motion.humanoid.nbody, 3]
    packed = decode_array(payload["series"]["foot_slip"])
    assert packed.shape == (25,)
    assert packed[3] == pytest.approx(0.2, abs=1e-3), "frame 13 is in the fourth group"
    assert packed[[0, 1, 2, 4]].min() > 0.99
    slip_moment = next(w for w in payload["worst"] if w["name"] == "foot_slip")
    assert slip_moment["frame"] == 13, "worst moments count frames of the clip, not of the playback"


def test_worst_moments_follow_the_direction(make_clip):
    scores = make_clip().scores
    frames = {"foot_slip": np.array([1, 0.3, 1, 0.9]), "foot_slip_m_per_s": np.array([0, 2.0, 0.1, 5.0])}
    found = {w["name"]: w["frame"] for w in worst_moments(scores.replace(frames=frames | {"mystery": np.arange(4.0)}))}
    assert found == {"foot_slip": 1, "foot_slip_m_per_s": 3}, "what has no direction has no worst frame"


def test_torque_share_is_the_worst_direction(humanoid):
    torque = np.zeros((3, humanoid.nbody, 3))
    knee = humanoid.body_names.index("L_Knee")
    low, high = humanoid.torque_limit[knee, 0]
    torque[1, knee, 0], torque[2, knee, 0] = 0.5 * high, 2 * low
    share, bodies = torque_share(humanoid, torque)
    np.testing.assert_allclose(share[:, bodies.index(knee)], [0, 50, 200])
    assert share.shape == (3, len(bodies)) and len(bodies) == 23, "all jointed bodies, not the root"


def test_centre_of_mass_is_mujocos(make_clip, humanoid):
    motion = make_clip().motion
    data = mujoco.MjData(humanoid.model)
    data.qpos[:] = motion.qpos[7]
    mujoco.mj_kinematics(humanoid.model, data)
    mujoco.mj_comPos(humanoid.model, data)
    com = humanoid.centre_of_mass(motion.body_pos[7:8], motion.body_quat[7:8])
    np.testing.assert_allclose(com[0], data.subtree_com[0], atol=1e-9)


def test_wrong_shapes_are_named(make_clip):
    clip = make_clip(frames=20)
    short = clip.scores.replace(frames={"foot_slip": np.ones(19)})
    with pytest.raises(ValueError, match=r"foot_slip.*expected shape \(20,\), found \(19,\)"):
        motion_payload(type(clip)("a", short, clip.motion), 100)
    with pytest.raises(ValueError, match=r"one clip"):
        scores_payload(clip.scores.replace(total=np.ones(2)))


def test_numbers_that_are_not_there_become_null(make_clip):
    payload = scores_payload(make_clip(valid=False).scores)
    assert payload["total"] is None and set(payload["terms"].values()) == {None}
    assert payload["valid"] is False and "3 frames" in payload["reason"]
    json.dumps(payload, allow_nan=False)


def test_invalid_frames_are_ranges():
    valid = np.array([0, 1, 1, 0, 0, 1, 0], bool)
    assert invalid_ranges(valid) == [[0, 1], [3, 5], [6, 7]]
    assert invalid_ranges(np.ones(4, bool)) == []


def test_shapes_of_any_model():
    xml = """<mujoco><asset><mesh name="m" vertex="0 0 0  1 0 0  0 2 0  0 0 3"/></asset><worldbody>
      <geom type="plane" size="1 1 1"/>
      <body><freejoint/><geom size=".1" mass="1"/><geom type="mesh" mesh="m" group="3"/></body>
      <body pos="3 0 0"><freejoint/><geom type="cylinder" size=".1 .3" group="3"/></body></worldbody></mujoco>"""
    model = mujoco.MjModel.from_xml_string(xml)
    assert drawable_geoms(model) == [1], "collision geoms are left out where there are visual ones"
    kind, size, _, _ = geom_shape(model, 2)
    assert kind == "box" and sorted(size.round(6)) == sorted(model.geom_aabb[2, 3:].round(6))
    assert geom_shape(model, 3)[0] == "cylinder"


def test_every_number_of_the_rewards_is_explained():
    from mjxhuman.rewards import feasibility
    from mjxhuman.rewards.score import ERROR_UNITS

    for axis, terms in feasibility.AXES.items():
        assert glossary.entry(axis).axis == axis
        for term in terms:
            assert glossary.entry(term).axis == axis and glossary.entry(term).is_score, term
            error = f"{term}_{ERROR_UNITS[term]}"
            assert glossary.entry(error).sentence and glossary.entry(error).unit, error
    for term in ("v_slip", "v_pen", "v_float", "v_bal", "s_tau", "s_grf", "s_met", "s_bal", "MET"):
        assert glossary.entry(term).axis in glossary.AXES and glossary.entry(term).better, term
    plain = glossary.entry("mystery_number")
    assert plain.label == "mystery number" and not plain.sentence


def test_terms_are_ordered_by_axis():
    names = ["zzz", "power", "total", "foot_slip", "joint_speed", "contact"]
    assert glossary.order_terms(names) == ["total", "joint_speed", "contact", "foot_slip", "power", "zzz"]


def test_forces_are_in_weights_of_the_models_own_gravity(make_clip):
    clip = make_clip(frames=8)
    moon = mujoco.MjSpec.from_string(clip.motion.humanoid.spec.to_xml())
    moon.option.gravity = (0.0, 0.0, -1.62)
    body = dataclasses.replace(clip.motion.humanoid, model=moon.compile())
    grf = decode_array(dynamics_payload(dataclasses.replace(clip.motion, humanoid=body), clip.dynamics, 1)["grf"])
    np.testing.assert_allclose(grf[:, 0, 2], 0.5 * 9.81 / 1.62, rtol=1e-3)
