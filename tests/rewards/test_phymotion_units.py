"""The published PhyMotion reward on made-up motion: measured vectors, batches, frames, joint layouts, invalid input."""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mjxhuman.humanoids import SMPL_BODIES, Humanoid, ball_to_hinge_qpos, load_humanoid, to_hinge
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.rewards.phymotion import time as phymotion_time
from mjxhuman.rewards.phymotion.score import RELEASED_FPS, phymotion_parts, phymotion_scores, score_motion

pytestmark = pytest.mark.compiled

FRAMES = 45
TIME = np.arange(FRAMES, dtype=float)
Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # from a y-up world
TERMS = ("v_slip", "v_pen", "v_float", "v_bal", "s_tau", "s_grf", "MET")


@pytest.fixture(scope="module")
def body(shared: Path) -> Humanoid:
    return load_humanoid(shared / "data/reference_mjcf/smpl_humanoid.xml")


def path(**axes: np.ndarray | float) -> np.ndarray:
    """Vectors (T, 3) with the given components, others 0."""
    return np.stack([np.broadcast_to(axes.get(axis, 0.0), TIME.shape) for axis in "xyz"], -1)


def arms_down(**joints: np.ndarray) -> dict[str, np.ndarray]:
    """Rotation vectors (T, 3) of joints: both arms hanging, and what is given."""
    return {"L_Shoulder": path(z=-1.2), "R_Shoulder": path(z=1.2), **joints}


def swinging(amplitude: float) -> dict[str, np.ndarray]:
    angle = amplitude * np.sin(2 * np.pi * TIME / 16)
    return arms_down(L_Shoulder=path(x=angle, z=-1.2), R_Shoulder=path(x=-angle, z=1.2))


def qpos_of(
    body: Humanoid, pose: dict[str, np.ndarray], transl: np.ndarray | float = 0.0, orient: np.ndarray | float = 0.0
) -> np.ndarray:
    """Hinge coordinates of SMPL parameters in a y-up world: rotation vectors by joint, translation, root rotation."""
    out = np.zeros((FRAMES, body.nq))
    root = Rotation.from_rotvec(orient + np.zeros((FRAMES, 3))).as_matrix()
    out[:, :3] = np.broadcast_to(transl, (FRAMES, 3)) @ Z_UP.T
    out[:, 3:7] = Rotation.from_matrix(Z_UP @ root).as_quat()[:, [3, 0, 1, 2]]
    for joint, rotvec in pose.items():
        assert joint in SMPL_BODIES
        start = body.model.joint(f"{joint}_x").qposadr[0]
        out[:, start : start + 3] = Rotation.from_rotvec(rotvec).as_euler("XYZ")
    return out


def vectors(body: Humanoid) -> list[tuple[str, np.ndarray, float, float, float, tuple[float, ...]]]:
    """Name, qpos, fps, contact axis, dynamic axis and ``TERMS``: outputs of the original code, rounded to 4 digits."""
    rng = np.random.default_rng(0)
    noise = [1e-3 * rng.normal(size=(FRAMES, 3)) for _ in range(2)]
    s = TIME / 16
    hop = qpos_of(body, arms_down(), path(y=np.maximum(3 * s - 4.905 * s**2, 0)))
    sweep = Rotation.from_euler("XYZ", path(x=np.linspace(2.6, 3.6, FRAMES))).as_rotvec()
    hover = path(y=np.where((TIME >= 12) & (TIME <= 32), 0.5, 0.0))

    def moved(**axes: np.ndarray | float) -> np.ndarray:
        return qpos_of(body, arms_down(), path(**axes))

    def bob(height: float) -> np.ndarray:
        return moved(y=height * (1 - np.cos(2 * np.pi * TIME / 16)) / 2)

    still = (0, 0, 1, 0.1671, 1, 1, 0)
    return [
        ("T-pose", qpos_of(body, {}), 30, 0.7082, 0.9582, still),
        ("arms down", moved(), 30, 0.7082, 0.9582, still),
        ("arms down, 1 m up", moved(y=1.0), 30, 0.7082, 0.9582, still),
        ("drop", moved(y=np.where(TIME >= 15, -0.2, 0)), 30, 0.6342, 0.8814, (0, 0, 1, 0.4632, 1, 0.9889, 0)),
        ("slow glide", moved(z=0.04 * TIME / 30), 30, 0.7017, 0.9582, (0.0261, 0, 1, 0.1671, 1, 1, 0)),
        ("glide", moved(z=0.5 * TIME / 30), 30, 0.5046, 0.7491, (0, 0, 1, 0.9815, 1, 0.9778, 0)),
        ("fast glide", moved(z=TIME / 30), 30, 0.5046, 0.7491, (0, 0, 1, 0.9815, 1, 0.9778, 0)),
        ("noise", qpos_of(body, {}, noise[0]), 30, 0.5542, 0.8055, (0.0052, 0, 1, 0.7779, 1, 1, 0)),
        ("noise at 16", qpos_of(body, {}, noise[1]), 16, 0.6452, 0.9027, (0.0299, 0, 1, 0.3892, 1, 1, 0)),
        ("hop", hop, 30, 0.6620, 0.9009, (0, 0, 1, 0.3522, 1, 0.9556, 0)),
        ("hop at 16", hop, 16, 0.6620, 0.9120, (0, 0, 1, 0.3522, 1, 1, 0)),
        ("pirouette", qpos_of(body, arms_down(), 0.0, path(y=4 * np.pi * TIME / 30)), 30, 0.5046, 0.7546,
         (0, 0, 1, 0.9815, 1, 1, 0)),
        ("sweep through 180", qpos_of(body, arms_down(L_Shoulder=sweep)), 30, 0.7093, 0.9551,
         (0, 0, 1, 0.1628, 0.9952, 0.9889, 7.2232)),
        ("arm swing at 16", qpos_of(body, swinging(1.2)), 16, 0.7085, 0.9564, (0, 0, 1, 0.166, 1, 1, 86.4)),
        ("arm swing", qpos_of(body, swinging(1.2)), 30, 0.7085, 0.9465, (0, 0, 1, 0.166, 1, 1, 482.9)),
        ("small swing at 16", qpos_of(body, swinging(0.6)), 16, 0.7083, 0.9579, (0, 0, 1, 0.167, 1, 1, 17.7)),
        ("small swing", qpos_of(body, swinging(0.6)), 30, 0.7083, 0.9559, (0, 0, 1, 0.167, 1, 1, 96.6)),
        ("bob", bob(0.05), 16, 0.5267, 0.7778, (0.004, 0, 1, 0.889, 1, 1, 0)),
        ("high bob", bob(0.2), 16, 0.5046, 0.7546, (0, 0, 1, 0.981, 1, 1, 0)),
        ("hover", qpos_of(body, arms_down(), hover), 16, 0.6064, 0.8509, (0, 0, 1, 0.574, 1, 0.978, 0)),
    ]  # fmt: skip


def test_measured_vectors(body: Humanoid, x64: None) -> None:
    """Made-up motions that the original code was run on, to the digits that were noted."""
    for name, qpos, fps, contact, dynamic, terms in vectors(body):
        scores = phymotion_scores(body, qpos, fps)
        assert scores.axes["contact"] == pytest.approx(contact, abs=6e-5), name
        assert scores.axes["dynamic"] == pytest.approx(dynamic, abs=6e-5), name
        for term, value in zip(TERMS, terms, strict=True):
            assert scores.terms[term] == pytest.approx(value, rel=3e-3, abs=6e-4), (name, term)


def test_what_the_published_reward_does_not_see(body: Humanoid, x64: None) -> None:
    """Why it is kept for comparison only: constant floating and sinking cost nothing, a frozen pose gains."""
    walk = qpos_of(body, swinging(0.6), path(z=0.02 * np.sin(TIME / 5)))
    plain = phymotion_scores(body, walk, 30.0)
    for height in (-0.2, 1.0):
        shifted = walk + height * (np.arange(body.nq) == 2)
        again = phymotion_scores(body, shifted, 30.0)
        assert again.total == pytest.approx(plain.total, abs=1e-9)
        assert again.terms["overall"] == pytest.approx(plain.terms["overall"], abs=1e-9)
    frozen = phymotion_scores(body, np.tile(walk[20], (FRAMES, 1)), 30.0)
    assert frozen.total > plain.total


def test_batch_axes_and_frames(x64: None) -> None:
    humanoid = load_humanoid("smpl", layout="hinge")
    rng = np.random.default_rng(3)
    qpos = np.tile(humanoid.model.qpos0, (2, 3, 20, 1))
    qpos[..., 7:] += np.cumsum(0.02 * rng.normal(size=(2, 3, 20, 69)), axis=2)
    valid = np.ones((2, 3, 20), bool)
    valid[1, 2, 13:] = False
    scores = phymotion_scores(humanoid, qpos, 30.0, valid=valid)
    assert (scores.reward, scores.humanoid) == ("phymotion", humanoid.description)
    assert scores.total.shape == (2, 3) and scores.valid.all() and scores.reason == ("",) * 6
    assert scores.frames["v_bal"].shape == (2, 3, 20)
    assert set(scores.axes) == {"kinematic", "contact", "dynamic"}
    np.testing.assert_allclose(scores.total, sum(scores.axes.values()) / 3, rtol=1e-12)
    one = phymotion_scores(humanoid, qpos[1, 2, :13], 30.0)
    for name, value in {"total": scores.total, **scores.terms, **scores.axes}.items():
        alone = {"total": one.total, **one.terms, **one.axes}[name]
        np.testing.assert_allclose(value[1, 2], alone, rtol=1e-12, atol=1e-15, err_msg=name)
    for name, frames in scores.frames.items():
        assert np.isnan(frames[1, 2, 13:]).all() and np.isfinite(frames[valid]).all(), name
    mean = {name: np.nanmean(frames, axis=-1) for name, frames in scores.frames.items()}
    for name in ("v_slip", "v_pen", "v_float", "v_bal", "s_tau", "v_grf_vert", "v_grf_horiz"):
        np.testing.assert_allclose(mean[name], scores.terms[name], rtol=1e-12, atol=1e-15, err_msg=name)
    np.testing.assert_allclose(np.nansum(scores.frames["MET"], axis=-1), scores.terms["MET"], rtol=1e-12)


def test_many_clips_run_in_blocks(humanoid: Humanoid) -> None:
    """More clips than one call of the compiled program takes."""
    rng = np.random.default_rng(4)
    qpos = np.tile(humanoid.model.qpos0.astype(np.float32), (11, 50, 1))
    qpos[..., 0] += np.cumsum(0.01 * rng.normal(size=(11, 50)), axis=1)
    together = phymotion_scores(humanoid, qpos, 30.0)
    for k in (0, 5, 10):
        np.testing.assert_allclose(together.total[k], phymotion_scores(humanoid, qpos[k], 30.0).total, rtol=1e-6)
    assert len(np.unique(together.total)) > 5


@pytest.mark.slow
def test_long_clips_are_measured_block_by_block(humanoid: Humanoid) -> None:
    """A bucket of 1,024 frames, measured in blocks, gives what one block gives."""
    rng = np.random.default_rng(5)
    qpos = np.tile(humanoid.model.qpos0.astype(np.float32), (1000, 1))
    qpos[:, :3] += np.cumsum(0.003 * rng.normal(size=(1000, 3)), axis=0)
    long, short = phymotion_scores(humanoid, qpos, 30.0), phymotion_scores(humanoid, qpos[:200], 30.0)
    np.testing.assert_allclose(
        long.frames["root_force_vertical"][:199], short.frames["root_force_vertical"][:199], rtol=1e-5
    )


def test_either_joint_layout(humanoid: Humanoid) -> None:
    """Ball rotations become wrapped Euler angles on the hinge twin; the Motion's own derivatives are ignored."""
    rng = np.random.default_rng(6)
    qpos = np.tile(humanoid.model.qpos0, (30, 1))
    turns = Rotation.from_rotvec(0.4 * np.cumsum(rng.normal(size=(30, 23, 3)), axis=0).reshape(-1, 3))
    qpos[:, 7:] = turns.as_quat()[:, [3, 0, 1, 2]].reshape(30, 92)
    motion = motion_from_qpos(humanoid, qpos.astype(np.float32), 30.0)
    ball = score_motion(motion.replace(qvel=motion.qvel * 0, qacc=motion.qacc * np.nan))
    angles = np.asarray(ball_to_hinge_qpos(humanoid, motion.qpos))
    assert np.abs(np.diff(angles[:, 7:], axis=0)).max() > np.pi  # some angle wraps, and stays wrapped
    hinge = phymotion_scores(to_hinge(humanoid), angles, 30.0)
    for name, value in {**ball.axes, **ball.terms}.items():
        other = {**hinge.axes, **hinge.terms}[name]
        np.testing.assert_allclose(value, other, rtol=1e-3, atol=2e-3, err_msg=name)


def test_frame_rate(humanoid: Humanoid) -> None:
    """A Motion is scored at its own rate; the released code takes every clip for 30 frames per second."""
    qpos = np.tile(humanoid.model.qpos0, (30, 1))
    qpos[:, 0] += 0.002 * np.arange(30)
    motion = motion_from_qpos(humanoid, qpos.astype(np.float32), 16.0)
    own, released = score_motion(motion), score_motion(motion, RELEASED_FPS)
    np.testing.assert_allclose(own.total, phymotion_scores(humanoid, motion.qpos, 16.0).total, rtol=1e-6)
    np.testing.assert_allclose(released.total, phymotion_scores(humanoid, motion.qpos, 30.0).total, rtol=1e-6)
    assert own.terms["v_bal"] < 0.5 < released.terms["v_bal"]  # 3.2 cm/s is contact, 6 cm/s is not


def test_clips_that_cannot_be_scored(humanoid: Humanoid) -> None:
    qpos = np.tile(humanoid.model.qpos0.astype(np.float32), (5, 12, 1))
    valid = np.ones((5, 12), bool)
    valid[1, 1:] = False
    valid[2, 4] = False
    qpos[3, 7, 20] = np.nan
    valid[4] = False
    scores = phymotion_scores(humanoid, qpos, 30.0, valid=valid)
    assert scores.valid.tolist() == [True, False, False, False, False]
    assert [bool(reason) for reason in scores.reason] == [False, True, True, True, True]
    assert "1 valid frame" in scores.reason[1] and "gap" in scores.reason[2] and "finite" in scores.reason[3]
    for values in (scores.total, *scores.axes.values(), *scores.terms.values()):
        assert np.isfinite(values[0]) and np.isnan(values[1:]).all()
    np.testing.assert_allclose(scores.total[0], phymotion_scores(humanoid, qpos[0], 30.0).total, rtol=1e-6)


def test_a_clip_may_start_late(humanoid: Humanoid) -> None:
    """Frames before and after the valid stretch play no role, and the frames' numbers stay where the frames are."""
    qpos = np.tile(humanoid.model.qpos0.astype(np.float32), (20, 1))
    qpos[:, 0] += 0.003 * np.arange(20) ** 2
    valid = (np.arange(20) >= 4) & (np.arange(20) < 17)
    late, alone = phymotion_scores(humanoid, qpos, 30.0, valid=valid), phymotion_scores(humanoid, qpos[4:17], 30.0)
    assert late.valid and late.total == alone.total
    for name, frames in late.frames.items():
        np.testing.assert_array_equal(frames[4:17], alone.frames[name], err_msg=name)
        assert np.isnan(frames[~valid]).all()


def test_reason_of_a_single_clip(humanoid: Humanoid) -> None:
    qpos = np.tile(humanoid.model.qpos0.astype(np.float32), (1, 12, 1))
    qpos[0, 7, 20] = np.nan
    assert isinstance(phymotion_scores(humanoid, qpos[0], 30.0).reason, str)


def test_wrong_input_is_named(humanoid: Humanoid, shared: Path) -> None:
    qpos = np.tile(humanoid.model.qpos0, (12, 1))
    for bad, match in (
        (lambda: phymotion_scores(humanoid, qpos[:, :76], 30.0), r"qpos: expected \(..., T, 99\).*\(12, 76\)"),
        (lambda: phymotion_scores(humanoid, qpos[0], 30.0), "qpos"),
        (lambda: phymotion_scores(humanoid, qpos[:0], 30.0), "qpos"),
        (lambda: phymotion_scores(humanoid, qpos, 0.0), "fps"),
        (lambda: phymotion_scores(humanoid, qpos, np.nan), "fps"),
        (lambda: phymotion_scores(humanoid, qpos, 30.0, valid=np.ones(11, bool)), r"valid: expected shape \(12,\)"),
    ):
        with pytest.raises(ValueError, match=match):
            bad()
    robot = load_humanoid(shared / "data/reference_mjcf/g1_bm_no_mesh_box_feet.xml")
    with pytest.raises(ValueError, match="'mixed'"):
        phymotion_scores(robot, np.tile(robot.model.qpos0, (12, 1)), 30.0)


def test_finite_differences_are_numpys(x64: None) -> None:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(4, 3, 20))
    lengths = np.array([20, 2, 7])
    valid = np.arange(20) < lengths[:, None]

    @jax.jit
    def differences(x, valid):
        clip = phymotion_time.make_clip(valid, jax.numpy.asarray(24.0), x.dtype)
        return phymotion_time.gradient(x, clip), phymotion_time.forward_step(x, clip), phymotion_time.mean(x, clip)

    gradient, step, mean = differences(x, valid)
    for k, n in enumerate(lengths):
        np.testing.assert_allclose(gradient[:, k, :n], np.gradient(x[:, k, :n], 1 / 24, axis=-1), rtol=1e-12)
        expected = np.diff(x[:, k, :n], axis=-1)
        np.testing.assert_allclose(step[:, k, :n], np.concatenate([expected, expected[:, -1:]], -1), rtol=1e-12)
        np.testing.assert_allclose(mean[:, k], x[:, k, :n].mean(-1), rtol=1e-12)


def test_intermediate_arrays(body: Humanoid, x64: None) -> None:
    """Torques of a static squat, as the original code gives them: those of a leg that hangs from the pelvis."""
    legs = {"L_Hip": -1.4, "R_Hip": -1.4, "L_Knee": 1.4, "R_Knee": 1.4}
    squat = qpos_of(body, arms_down(**{joint: path(x=angle) for joint, angle in legs.items()}))
    measured, axes = phymotion_parts(body, squat, 30.0)
    assert measured.qfrc.shape == (75, FRAMES) and axes.contact.touching.shape == (4, FRAMES)
    for joint, torque in (("L_Hip_x", -28.7), ("L_Knee_x", 0.7), ("L_Ankle_x", -0.4)):
        row = body.model.joint(joint).dofadr[0]
        assert float(np.asarray(measured.qfrc)[row, 5]) == pytest.approx(torque, abs=0.051), joint
    weight = body.mass * 9.81
    np.testing.assert_allclose(np.asarray(measured.qfrc)[:3, 5], [0, 0, weight], atol=1e-9)
