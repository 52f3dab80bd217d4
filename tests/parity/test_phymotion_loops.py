"""The published PhyMotion formulas against a plain second implementation, frame by frame in NumPy with C MuJoCo.

It covers what the golden trajectories do not: clips of a few frames, wobbling flights, hulls of every kind.
"""

from __future__ import annotations

import contextlib
import itertools

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest
from scipy.signal import find_peaks
from scipy.spatial import ConvexHull, QhullError

from mjxhuman.humanoids import Humanoid, load_humanoid
from mjxhuman.rewards.phymotion import joints as phymotion_joints
from mjxhuman.rewards.phymotion import mujoco as phymotion_mujoco
from mjxhuman.rewards.phymotion.body import torque_limit
from mjxhuman.rewards.phymotion.score import phymotion_parts, phymotion_scores
from mjxhuman.rewards.phymotion.time import make_clip

pytestmark = pytest.mark.compiled

FEET = ("L_Ankle", "L_Toe", "R_Ankle", "R_Toe")


def support_distance(point: np.ndarray, feet: np.ndarray) -> float:
    """Distance to the hull of the feet that touch, with the special cases of the original code."""
    if len(feet) == 0:
        return 1.0
    ring = feet
    if len(feet) >= 3:
        with contextlib.suppress(QhullError):
            ring = feet[ConvexHull(feet).vertices]
        turns = [np.sign(np.linalg.det([b - a, point - a])) for a, b in zip(ring, np.roll(ring, -1, 0), strict=True)]
        if min(turns) >= 0 or max(turns) <= 0:
            return 0.0
    distances = []
    for a, b in zip(ring, np.roll(ring, -1, 0), strict=True):
        share = np.clip((point - a) @ (b - a) / max((b - a) @ (b - a), 1e-9), 0, 1)
        distances.append(np.linalg.norm(point - a - share * (b - a)))
        if len(ring) == 2:
            break
    return min(distances)


def mujoco_axes(humanoid: Humanoid, qpos: np.ndarray, fps: float) -> dict[str, float]:
    """The contact and dynamic axes of one clip."""
    model, data = humanoid.model, mujoco.MjData(humanoid.model)
    count = len(qpos)
    ids = [model.body(name).id for name in FEET]
    vel, acc = np.zeros((count, model.nv)), np.zeros((count, model.nv))
    for t in range(1, count):
        vel[t, :3] = (qpos[t, :3] - qpos[t - 1, :3]) * fps
        vel[t, 6:] = (qpos[t, 7:] - qpos[t - 1, 7:]) * fps
    for t in range(1, count - 1):
        acc[t] = (vel[t + 1] - vel[t - 1]) * fps / 2
    acc[0], acc[-1] = acc[1], acc[-2]
    force, com, feet = np.zeros((count, model.nv)), np.zeros((count, 3)), np.zeros((count, 4, 3))
    for t in range(count):
        data.qpos[:], data.qvel[:] = qpos[t], vel[t]
        mujoco.mj_forward(model, data)
        mujoco.mj_mulM(model, data, force[t], acc[t])
        force[t] += data.qfrc_bias
        com[t], feet[t] = data.subtree_com[0], data.xpos[ids]
    floor = feet[..., 2].min()
    feet[..., 2] -= floor
    speed, ratio = np.zeros((count, 4)), np.zeros((count, 4))
    for t in range(1, count):
        step, root = feet[t] - feet[t - 1], qpos[t, :3] - qpos[t - 1, :3]
        speed[t] = np.linalg.norm(step, axis=-1) * fps
        ratio[t] = np.linalg.norm(step - root, axis=-1) * fps / (np.linalg.norm(root) * fps + 1e-6)
    touch = (feet[..., 2] < 0.02) & (speed < 0.05)
    distance = [support_distance(com[t, :2], feet[t, touch[t], :2]) for t in range(count)]
    weight = model.body_mass.sum() * 9.81
    limit = np.array([torque_limit(model.joint(j).name) for j in range(1, model.njnt)])
    out = {
        "v_slip": np.clip((speed * touch).sum() / fps / (2 * count) / 0.05, 0, 1),
        "v_float": np.mean((ratio < 0.6) | (ratio > 1.75)),
        "v_bal": np.mean(np.clip(distance, 0, 0.5) / 0.5),
        "s_tau": 1 - np.mean(np.abs(force[:, 6:]) > limit),
        "v_grf_vert": np.mean(force[:, 2] > 3 * weight),
        "v_grf_horiz": np.mean(np.hypot(force[:, 0], force[:, 1]) > 0.5 * weight),
        "MET": np.sum(np.abs(force[:, 6:] * vel[:, 6:])) / fps,
    }
    out["s_grf"] = 1 - (out["v_grf_vert"] + out["v_grf_horiz"]) / 2
    out["s_met"] = max(0, 1 - out["MET"] / 1e4)
    out["contact"] = 1 - (out["v_slip"] + out["v_float"] + out["v_bal"]) / 4
    out["dynamic"] = (out["s_tau"] + out["s_grf"] + out["s_met"] + 1 - out["v_bal"]) / 4
    return out


def stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last index of every stretch of true entries."""
    out, start = [], 0
    for value, group in itertools.groupby(flags):
        size = len(list(group))
        if value:
            out.append((start, start + size - 1))
        start += size
    return out


def floating(root: np.ndarray, feet: np.ndarray, touch: np.ndarray) -> float:
    """MBench's foot floating as the original code computes it: root (T, 3), feet (T, 2, 3), touch (T, 2)."""
    count = len(root)
    if count < 4:
        return 0.0

    def steps(x: np.ndarray) -> np.ndarray:
        d = x[1:] - x[:-1]
        return np.linalg.norm(np.concatenate([d, d[-1:]]), axis=-1)

    root_step, foot_step, relative = steps(root), steps(feet), steps(feet - root[:, None])
    ratio = relative / (root_step[:, None] + 1e-6)
    bad = 0.0
    for t in range(count):
        odd = [
            foot_step[t, f] > 1.2e-4 and (ratio[t, f] < 0.6 or (ratio[t, f] > 1.75 and root_step[t] > 1.2e-4))
            for f in range(2)
        ]
        if root_step[t] < 1e-3:
            continue
        if touch[t].all():
            bad += odd[0] and odd[1]
        else:
            bad += (touch[t, 0] and odd[0]) or (touch[t, 1] and odd[1])
    air = [stretches(~touch[:, f]) for f in range(2)]
    for f in range(2):
        for start, end in air[f]:
            inside = slice(start, end + 1)
            if end - start + 1 >= 4 and np.mean(root_step[inside] < 1e-3) <= 0.5:
                bad += 0.5 * np.sum(ratio[inside, f] < 0.6 - 0.2)
    for (a, b), (c, d) in itertools.product(*air):
        start, end = max(a, c), min(b, d)
        path = feet[start : end + 1, 0] - feet[start, 0]
        if end - start + 1 < 4 or np.linalg.norm(path[-1]) < 1e-8:
            continue
        norms = np.linalg.norm(path[1:], axis=-1) * np.linalg.norm(path[-1]) + 1e-8
        angle = np.degrees(np.abs(np.arccos(np.clip(path[1:] @ path[-1] / norms, -1, 1))))
        if len(find_peaks(angle)[0]) > 2:
            bad += end - start + 1
    return 1.0 if not touch.any() else min(1.0, bad / count)


def joint_axes(joints: np.ndarray, soles: np.ndarray, fps: float) -> dict[str, float]:
    """Kinematic axis and the older contact and dynamic axes of one clip: joints (T, 24, 3), soles (T, 2, P, 3)."""
    count, dt = len(joints), 1 / fps
    limb = []
    for a, b in ((16, 18), (18, 20), (1, 4), (4, 7)):
        length = np.linalg.norm(joints[:, b] - joints[:, a], axis=-1)
        limb.append(min(10 * length.std() / (length.mean() + 1e-6), 1))
    vel = np.gradient(joints, dt, axis=0)
    acc = np.linalg.norm(np.gradient(vel, dt, axis=0), axis=-1)
    speed = np.linalg.norm(vel, axis=-1)
    shake = 0.0
    for points in (joints, joints - joints[:, :1]):
        second = np.diff(points, 2, axis=0) / dt**2
        shake += np.linalg.norm(second, axis=-1).mean() if count > 2 else 0
    out = {
        "v1_limb_length": np.mean(limb),
        "v1_velocity": np.mean(speed.max(-1) > 5),
        "v1_jitter": np.clip((shake - 4.5) / 90, 0, 1),
    }
    out["kinematic"] = 1 - sum(out.values()) / 4

    feet, low = soles.mean(2), soles[..., 2].min(-1)
    foot_speed = np.linalg.norm(np.gradient(feet, dt, axis=0), axis=-1)
    touch = (low < 0.02) & (foot_speed <= 0.05)
    slip = foot_speed * dt * touch
    friction = [s.sum() / (0.01 + c.sum()) > 0.05 if c.any() else False for s, c in zip(slip, touch, strict=True)]
    out["v1_slip"], out["v1_penetration"] = slip.mean(), np.maximum(-low, 0).mean()
    out["v1_friction"], out["v1_floating"] = np.mean(friction), floating(joints[:, 0], feet, touch)
    parts = [out[f"v1_{name}"] for name in ("slip", "penetration", "friction", "floating")]
    out["v1_contact"] = max(0.0, 1 - np.mean(parts))

    weight = np.array([3.0] + [1.0] * 23) / 26
    com = np.einsum("j,tjc->tc", weight, joints)
    grf = 70 * (np.gradient(np.gradient(com, dt, axis=0), dt, axis=0) + [0, 0, 9.81])
    limits = [200] * 3 + [300] * 3 + [400] * 3 + [200] * 15
    support = []
    for t in range(count):
        ends = [joints[t, j, :2] for j, down in zip((7, 10), touch[t], strict=True) if down]
        support.append(np.linalg.norm(com[t, :2] - ends[0]) if ends else 1.0)
    out["v1_torque"] = np.mean(acc > limits)
    out["v1_grf_vert"] = np.mean(grf[:, 2] > 3 * 70 * 9.81)
    out["v1_grf_horiz"] = np.mean(np.hypot(grf[:, 0], grf[:, 1]) > 0.5 * 70 * 9.81)
    out["v1_balance"] = np.mean(np.clip(support, 0, 0.5) / 0.5)
    out["v1_metabolic"] = np.sum(acc * speed) * dt
    quality = [1 - out["v1_torque"], 1 - (out["v1_grf_vert"] + out["v1_grf_horiz"]) / 2, 1 - out["v1_balance"]]
    out["v1_dynamic"] = np.clip(np.mean([*quality, max(0, 1 - out["v1_metabolic"] / 1e4)]), 0, 1)
    return out


LENGTHS = (2, 3, 4, 5, 9, 40)


def clips(humanoid: Humanoid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Clips of ``LENGTHS`` frames that stand still, step and jump, padded: qpos (6, 40, 76), valid (6, 40)."""
    count, size = len(LENGTHS), max(LENGTHS)
    qpos = np.tile(humanoid.model.qpos0, (count, size, 1))
    speed = np.repeat(rng.choice([0.0, 1e-4, 0.03], (count, size // 4, 1), p=[0.4, 0.3, 0.3]), 4, axis=1)
    qpos[..., 7:] += np.cumsum(speed * rng.normal(size=(count, size, 69)), axis=1)
    qpos[..., :3] += np.cumsum(0.3 * speed * rng.normal(size=(count, size, 3)), axis=1)
    return qpos, np.arange(size) < np.array(LENGTHS)[:, None]


def test_short_clips_equal_the_loops(x64: None) -> None:
    humanoid = load_humanoid("smpl", layout="hinge")
    for seed in range(3):
        qpos, valid = clips(humanoid, np.random.default_rng(seed))
        scores = phymotion_scores(humanoid, qpos, 25.0, valid=valid)
        measured, _ = phymotion_parts(humanoid, qpos, 25.0, valid=valid)
        joints = np.moveaxis(np.asarray(measured.joints), (-2, -1), (0, 1))
        soles = np.moveaxis(np.asarray(measured.soles), (-2, -1), (0, 1))
        for k, length in enumerate(LENGTHS):
            expected = mujoco_axes(humanoid, qpos[k, :length], 25.0)
            expected |= joint_axes(joints[k, :length], soles[k, :length], 25.0)
            found = {**scores.axes, **scores.terms}
            for name, value in expected.items():
                assert found[name][k] == pytest.approx(value, rel=1e-9, abs=1e-12), (name, length)
            total = (expected["kinematic"] + expected["contact"] + expected["dynamic"]) / 3
            assert scores.total[k] == pytest.approx(total, rel=1e-9)


def test_foot_floating_equals_the_loops(x64: None) -> None:
    """Random walks with stretches of standing still, of contact and of flight that wobbles or does not."""
    rng = np.random.default_rng(0)
    count, size = 300, 48
    lengths = rng.integers(2, size + 1, count)
    pace = np.repeat(rng.choice([0.0, 5e-4, 0.02], (count, size // 6, 1)), 6, axis=1)
    root = np.cumsum(pace * rng.normal(size=(count, size, 3)), axis=1)
    feet = root[:, :, None] * rng.choice([0.0, 1.0], (count, 1, 2, 1)) + np.cumsum(
        0.01 * rng.choice([0.0, 1.0, 5.0], (count, 1, 2, 1)) * rng.normal(size=(count, size, 2, 3)), axis=1
    )
    touch = np.repeat(rng.random((count, size // 6, 2)) < rng.random((count, 1, 1)), 6, axis=1)
    expected = [floating(root[k, :n], feet[k, :n], touch[k, :n]) for k, n in enumerate(lengths)]

    @jax.jit
    def found(root, feet, touch, valid):
        clip = make_clip(valid, jnp.asarray(30.0), root.dtype)
        return phymotion_joints._floating(root, feet, touch & valid, clip)

    valid = np.arange(size) < lengths[:, None]
    got = found(np.moveaxis(root, -1, 0), np.moveaxis(feet, (2, 3), (0, 1)), np.moveaxis(touch, -1, 0), valid)
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert np.mean((np.array(expected) > 0) & (np.array(expected) < 1)) > 0.2


def test_wobbling_flights_count(x64: None) -> None:
    """A flight whose direction has three peaks counts whole; one with two, or with plateaus that fall, does not."""
    rng = np.random.default_rng(1)
    swings = rng.integers(0, 6, 200)
    count, size = len(swings), 40
    t = np.arange(size) / size
    sideways = 0.2 * np.sin(2 * np.pi * swings[:, None] * t) + 1e-9
    feet = np.zeros((count, size, 2, 3))
    feet[..., 0, 0], feet[..., 0, 1] = 2 * t, np.round(sideways, 1)  # rounding makes plateaus
    feet[..., 1, 0] = 2 * t
    touch = np.zeros((count, size, 2), bool)
    touch[:, :2] = touch[:, -2:] = True
    root = np.zeros((count, size, 3))
    root[..., 0] = t
    expected = [floating(root[k], feet[k], touch[k]) for k in range(count)]
    assert min(expected) < 0.5 < max(expected)
    clip = make_clip(jnp.ones((count, size), bool), jnp.asarray(30.0), jnp.float64)
    got = jax.jit(phymotion_joints._floating)(
        np.moveaxis(root, -1, 0), np.moveaxis(feet, (2, 3), (0, 1)), np.moveaxis(touch, -1, 0), clip
    )
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_support_distance_equals_the_loops(x64: None) -> None:
    rng = np.random.default_rng(2)
    feet, point = rng.normal(size=(400, 4, 2)), rng.normal(size=(400, 2))
    touch = rng.random((400, 4)) < 0.7
    feet[:100, 2] = 0.3 * feet[:100, 0] + 0.7 * feet[:100, 1]  # three in a line
    feet[50:60, 3] = feet[50:60, 0]  # two in one place
    feet[60:70] = feet[60:70, :1]  # all in one place
    feet[70:80, 1] = feet[70:80, 0] + 1e-5  # nearer together than the shortest segment
    expected = [support_distance(p, f[t]) for p, f, t in zip(point, feet, touch, strict=True)]
    found = jax.jit(phymotion_mujoco.support_distance)(point.T, np.moveaxis(feet, 0, -1), touch.T)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    assert {0, 1, 2, 3, 4} == set(touch.sum(1))


def test_a_line_through_the_point_supports_it(x64: None) -> None:
    """The original code's test for being inside takes any point on the line of collinear feet for supported."""
    feet = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0], [9.0, 0.0]])
    for touch, expected in (([1, 1, 1, 0], 0.0), ([1, 1, 0, 0], np.sqrt(2.0)), ([1, 1, 1, 1], np.sqrt(2.0))):
        mask = np.array(touch, bool)
        assert support_distance(np.zeros(2), feet[mask]) == pytest.approx(expected)
        assert float(phymotion_mujoco.support_distance(jnp.zeros(2), jnp.asarray(feet), mask)) == pytest.approx(
            expected
        )
