"""The built-in clips: they are what their docstring says, and a body can move like this."""

from __future__ import annotations

from importlib import resources

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import mjxhuman
from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.rewards.validation import damage

pytestmark = pytest.mark.compiled

CYCLE = 64  # frames
GRAVITY = 9.81


@pytest.fixture(scope="module")
def walk(humanoid):
    clip = load_builtin_clip("walk")
    return mjxhuman.motion_from_qpos(humanoid, clip.qpos, clip.fps, provenance=clip.provenance)


@pytest.fixture(scope="module")
def jump(humanoid):
    clip = load_builtin_clip("jump")
    return mjxhuman.motion_from_qpos(humanoid, clip.qpos, clip.fps, provenance=clip.provenance)


@pytest.fixture(scope="module")
def scores(walk):
    return mjxhuman.score(walk)


@pytest.fixture(scope="module")
def forces(walk):
    return mjxhuman.analyse(walk)


@pytest.mark.parametrize(("name", "frames", "source"), [("walk", 225, "Winter"), ("jump", 151, "Bobbert")])
def test_the_files_are_small_named_and_free(name, frames, source):
    file = resources.files("mjxhuman.data") / "clips" / f"{name}.npz"
    clip = load_builtin_clip(name)
    assert len(file.read_bytes()) < 200_000
    assert clip.qpos.shape == (frames, 99)
    assert clip.fps == 60.0
    assert clip.humanoid == {"name": "smpl", "layout": "ball"}
    assert clip.provenance.licence == "Apache-2.0"
    assert any(source in sentence for sentence in clip.provenance.conventions)


def test_the_default_is_the_walk():
    np.testing.assert_array_equal(load_builtin_clip().qpos, load_builtin_clip("walk").qpos)


def test_an_unknown_clip_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"expected one of walk, jump, found 'swim'"):
        load_builtin_clip("swim")


def test_every_axis_scores_above_nine_tenths(scores):
    assert scores.valid
    for axis in ("kinematic", "contact", "dynamic"):
        assert scores.axes[axis] > 0.9
        assert np.nanmin(scores.frames[axis]) > 0.8
    assert scores.terms["foot_slip_m_per_s"] < 0.06
    assert scores.terms["floating_bw"] < 0.02
    assert scores.terms["balance_m"] < 0.004
    assert scores.terms["ground_penetration_m"] < 0.002


def test_it_walks_upright_along_x_at_a_steady_speed(walk):
    pos = np.asarray(walk.body_pos)
    names = walk.humanoid.body_names
    pelvis, head = pos[:, names.index("Pelvis")], pos[:, names.index("Head")]
    cycle = pelvis[CYCLE:] - pelvis[:-CYCLE]
    np.testing.assert_allclose(cycle[:, 0], 1.30 * CYCLE / 60, atol=1e-3)
    np.testing.assert_allclose(cycle[:, 1:], 0.0, atol=1e-3)
    assert np.ptp(pelvis[:, 2]) < 0.06
    lean = np.degrees(np.arctan2(head[:, 0] - pelvis[:, 0], head[:, 2] - pelvis[:, 2]))
    assert np.abs(lean).max() < 12
    # SMPL's z axis is forward
    facing = Rotation.from_quat(np.asarray(walk.qpos)[:, 3:7], scalar_first=True).apply([0, 0, 1])
    assert facing[:, 0].min() > 0.98


def test_right_and_left_take_turns(walk):
    """Half a cycle later the body is its mirror image, one step further."""
    pos = np.asarray(walk.body_pos)
    names = list(walk.humanoid.body_names)
    swap = [names.index({"L_": "R_", "R_": "L_"}.get(n[:2], n[:2]) + n[2:]) for n in names]
    later = pos[CYCLE // 2 :, swap] * [1, -1, 1]
    step = pos[: -CYCLE // 2] + [1.30 * CYCLE / 120, 0, 0]
    np.testing.assert_allclose(later[:, 1:], step[:, 1:], atol=1e-4)


def test_joints_move_as_in_walking(walk):
    """Ranges of healthy adults: knee 60, hip 43, ankle 30 degrees (Kadaba et al. 1990); opposite arms and legs."""
    names, pos = walk.humanoid.body_names, np.asarray(walk.body_pos)

    def angle(a: str, b: str) -> np.ndarray:
        """Of the bone from a to b to the vertical, forward positive, degrees."""
        bone = pos[:, names.index(b)] - pos[:, names.index(a)]
        return np.degrees(np.arctan2(bone[:, 0], -bone[:, 2]))

    thigh, shank = angle("L_Hip", "L_Knee"), angle("L_Knee", "L_Ankle")
    knee = thigh - shank
    assert 50 < np.ptp(knee) < 70
    assert knee.min() > -3
    assert 35 < np.ptp(thigh) < 55
    assert np.corrcoef(angle("L_Shoulder", "L_Wrist"), thigh)[0, 1] < -0.7


def test_the_floor_carries_the_body_as_in_walking(walk, forces):
    """Two humps of 1.0-1.3 body weights per step and a valley of 0.6-0.9 between (Winter 1991)."""
    weight = walk.humanoid.mass * GRAVITY
    both = np.asarray(forces.grf)[..., 2] / weight
    cycle = slice(CYCLE, 2 * CYCLE)
    assert both[cycle].sum(1).mean() == pytest.approx(1.0, abs=0.02)
    left = both[cycle, 0]
    first, valley, second = left[5:14].max(), left[14:26].min(), left[26:36].max()
    assert 1.0 < first < 1.3
    assert 1.0 < second < 1.3
    assert 0.6 < valley < 0.95
    assert left[42:60].max() < 0.02  # swing
    assert both[:, 2:].max() < 0.01  # nothing but the feet


@pytest.mark.parametrize("kind", ["float", "skate", "lean"])
def test_damage_lowers_the_score(walk, scores, kind):
    bad = damage.apply(kind, walk.humanoid, np.asarray(walk.qpos), walk.fps, damage.DAMAGES[kind].severities[1])
    assert mjxhuman.score(mjxhuman.motion_from_qpos(walk.humanoid, bad, walk.fps)).total < scores.total - 0.05


def test_the_jump_scores_above_nine_tenths_on_every_axis(jump):
    scores = mjxhuman.score(jump)
    assert scores.valid
    for axis in ("kinematic", "contact", "dynamic"):
        assert scores.axes[axis] > 0.9
        assert np.nanmin(scores.frames[axis]) > 0.8
    assert scores.terms["foot_slip_m_per_s"] < 0.02
    assert scores.terms["floating_bw"] < 0.02


def test_the_jump_flies_freely_and_only_then_leaves_the_floor(jump):
    [(first, last)] = damage.flights(jump.humanoid, np.asarray(jump.qpos), jump.fps)
    assert 0.15 < (last - first) / jump.fps < 0.4
    forces = mjxhuman.analyse(jump)
    core = slice(first + 2, last - 1)
    np.testing.assert_allclose(
        np.asarray(forces.com_acc)[core], np.tile([0, 0, -GRAVITY], (last - first - 3, 1)), atol=0.05
    )
    weight = jump.humanoid.mass * GRAVITY
    carried = np.asarray(forces.grf)[..., 2].sum(1) / weight
    assert carried[core].max() < 1e-3
    assert carried[:first].max() > 1.5  # the push
    assert carried[last:].max() > 1.8  # the landing
    assert carried[6:12] == pytest.approx(1.0, abs=0.03)  # standing before
    assert carried[-12:-6] == pytest.approx(1.0, abs=0.03)  # and after


@pytest.mark.parametrize("kind", ["freeze_in_flight", "hover"])
def test_damage_of_the_flight_lowers_the_score(jump, kind):
    bad = damage.apply(kind, jump.humanoid, np.asarray(jump.qpos), jump.fps, damage.DAMAGES[kind].severities[1])
    bad = mjxhuman.motion_from_qpos(jump.humanoid, bad, jump.fps)
    assert mjxhuman.score(bad).total < mjxhuman.score(jump).total - 0.05
