"""What carries a motion decides its score: slopes under tilted gravity, stairs, several surfaces at once."""

import jax
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.physics.analysis import analyse
from mjxhuman.physics.load_sharing import MEETING
from mjxhuman.rewards.score import score
from mjxhuman.rewards.validation import damage
from mjxhuman.scenes import HeightField, Plane, Surfaces

pytestmark = pytest.mark.compiled

RISE, GOING, RISER = 0.17, 0.30, 0.01  # m: of a step, and how wide its riser is in the grid


@pytest.fixture(scope="module")
def walk():
    """Two seconds of the built-in walk: short enough for the small block."""
    motion = mjxhuman.load_motion(builtin_path("walk"))
    return mjxhuman.motion_from_qpos(motion.humanoid, np.asarray(motion.qpos, np.float64)[:60], motion.fps)


def tilted(motion, turn):
    """The whole world turned: body and gravity."""
    qpos = np.array(motion.qpos, np.float64)
    qpos[:, :3] = turn.apply(qpos[:, :3])
    qpos[:, 3:7] = (turn * Rotation.from_quat(qpos[:, 3:7], scalar_first=True)).as_quat(scalar_first=True)
    body = motion.humanoid.with_gravity(turn.apply(motion.humanoid.model.opt.gravity))
    return mjxhuman.motion_from_qpos(body, qpos, motion.fps)


@pytest.fixture(scope="module")
def slope():
    """The turn that tilts the floor by 10 degrees, about an oblique horizontal axis."""
    return Rotation.from_rotvec(np.deg2rad(10) * np.array([0.6, 0.8, 0.0]))


@pytest.mark.parametrize("defect", [None, "skate", "lean"])
def test_a_walk_on_a_slope_with_gravity_tilted_too_scores_as_on_the_level(walk, slope, defect):
    if defect:
        severity = damage.DAMAGES[defect].severities[1]
        qpos = damage.apply(defect, walk.humanoid, np.asarray(walk.qpos), walk.fps, severity)
        walk = mjxhuman.motion_from_qpos(walk.humanoid, qpos, walk.fps)
    ramp = Plane(normal=slope.apply([0.0, 0.0, 1.0]))
    level, tilt = score(walk), score(tilted(walk, slope), surface=ramp)
    assert tilt.valid and (level.total < 0.9 if defect else level.total > 0.9)
    assert float(tilt.total) == pytest.approx(float(level.total), abs=1e-4)
    for name in level.axes:
        assert float(tilt.axes[name]) == pytest.approx(float(level.axes[name]), abs=1e-4), name
    for name in level.terms:
        assert float(tilt.terms[name]) == pytest.approx(float(level.terms[name]), rel=1e-3, abs=1e-4), name


def test_a_walk_on_the_wrong_slope_floats(walk, slope):
    right, wrong = (Plane(normal=turn.apply([0.0, 0.0, 1.0])) for turn in (slope, slope.inv()))
    motion = tilted(walk, slope)
    assert score(motion, surface=wrong).terms["floating"] < score(motion, surface=right).terms["floating"] - 0.1


@pytest.fixture(scope="module")
def stairs():
    """Three steps up along +x on a floor, all as wide as two people: treads end in risers at 0, GOING, ..."""
    x = np.arange(-2 * RISER, 4 * GOING, RISER)
    heights = RISE * np.clip(np.floor(x / GOING + 1e-9) + 1, 0, 3)
    heights[:1] = -0.5  # a block that stands on the floor, not the floor itself
    block = HeightField(np.repeat(heights[:, None], 3, 1), np.array([x[0], -0.5]), np.float64(RISER))
    return Surfaces((Plane(), block))


def bent_leg(model, side, hip_to_ankle):
    """Angles about x of hip, knee and ankle that put an ankle ``(T, 2)`` up and forward of its hip, the foot level."""
    thigh, shank = (complex(*model.body(f"{side}_{name}").pos[1:]) for name in ("Knee", "Ankle"))
    target = hip_to_ankle @ np.array([1.0, 1.0j])
    bend = np.arccos((abs(target) ** 2 - abs(thigh) ** 2 - abs(shank) ** 2) / (2 * abs(thigh) * abs(shank)))
    knee = bend + np.angle(thigh) - np.angle(shank)
    hip = np.angle(target) - np.angle(thigh + np.exp(1j * knee) * shank)
    return {"Hip": hip, "Knee": knee, "Ankle": -hip - knee}


@pytest.fixture(scope="module")
def climber(humanoid, standing):
    """Two seconds in which the weight goes from the right foot on the first tread to the left one on the second."""
    model, qpos = humanoid.model, np.tile(standing[0], (60, 1))
    share = 0.5 - 0.3 * np.cos(np.linspace(0, np.pi, 60))
    first = 0.5 * (GOING - RISER) - 0.05  # an ankle is behind the middle of its foot
    start = qpos[0, :3].copy()
    qpos[:, 0] = first + share * GOING
    qpos[:, 2] += RISE - 0.06
    for side, ankle in (("R", np.array([first, RISE])), ("L", np.array([first + GOING, 2 * RISE]))):
        rest = sum(model.body(f"{side}_{name}").pos for name in ("Hip", "Knee", "Ankle"))[1:]  # up, forward
        moved = np.stack([ankle[1] + start[2] - qpos[:, 2], ankle[0] + start[0] - qpos[:, 0] - rest[1]], 1)
        hip = model.body(f"{side}_Hip").pos[1:]
        for name, angle in bent_leg(model, side, rest - hip + moved).items():
            at = int(model.jnt_qposadr[model.body(f"{side}_{name}").jntadr[0]])
            qpos[:, at : at + 2] = np.stack([np.cos(angle / 2), np.sin(angle / 2)], 1)
    return mjxhuman.motion_from_qpos(humanoid, qpos, 30)


@pytest.mark.slow
def test_on_a_staircase_its_treads_carry_the_feet(humanoid, climber, stairs):
    inner = slice(5, -5)  # whole windows of the derivatives
    without, forces = analyse(climber), analyse(climber, stairs)
    assert without.external_support[inner].min() > 0.9 and np.abs(without.grf).max() < 0.05 * humanoid.weight
    load = np.asarray(forces.grf)[inner, :, 2] / humanoid.weight
    feet = [forces.contact_names.index(f"{side}_Foot") for side in "RL"]
    assert load[:, feet].sum(1).min() > 0.9 and forces.external_support[inner].max() < 0.1
    rear, front = load[:, feet].T
    assert rear[0] > 0.6 and front[0] > 0.2 and rear[-1] > 0.2 and front[-1] - front[0] > 0.2
    # along the line between the feet both lines of force meet above the centre of mass
    place, force = (np.asarray(x)[inner][:, feet] for x in (forces.cop, forces.grf))
    line = place[:, 1, :2] - place[:, 0, :2]
    lean = np.sum(force[..., :2] * line[:, None], -1) / force[..., 2]
    at_floor = np.sum(place[..., :2] * line[:, None], -1) - lean * place[..., 2]
    meet = (at_floor[:, 1] - at_floor[:, 0]) / (lean[:, 0] - lean[:, 1])
    np.testing.assert_allclose(meet - np.asarray(forces.com)[inner, 2], MEETING, atol=2e-3)
    np.testing.assert_allclose(np.asarray(forces.cop)[inner][:, feet, 2], [[RISE, 2 * RISE]] * len(load), atol=5e-3)


def test_a_climber_is_judged_by_the_stairs_it_climbs(climber, stairs):
    floor, steps = score(climber), score(climber, surface=stairs)
    assert floor.axes["contact"] < 0.3 and steps.axes["contact"] > 0.9
    assert steps.terms["foot_slip"] > 0.95 and steps.terms["ground_penetration"] > 0.95
    sunk = climber.replace(qpos=np.asarray(climber.qpos) - 0.06 * np.eye(climber.humanoid.nq)[2])
    deep = score(sunk, surface=stairs)
    assert deep.terms["ground_penetration_m"] == pytest.approx(0.06, abs=2e-3)
    assert deep.total < steps.total


@pytest.mark.slow
def test_scores_have_derivatives_in_the_numbers_of_the_surface(climber, stairs):
    """How the total changes as the block that is climbed rises out of the floor under the feet."""
    with jax.enable_x64(True):
        motion = mjxhuman.motion_from_qpos(climber.humanoid, np.asarray(climber.qpos, np.float64), climber.fps)
        floor, block = stairs.parts

        @jax.jit
        def value(rise):
            raised = block.replace(heights=block.heights + rise)
            return score(motion, surface=stairs.replace(parts=(floor, raised))).total

        at, h = 0.035, 1e-6  # deep enough for penalties, and not at a kink
        slope = jax.jvp(value, (at,), (1.0,))[1]
        assert float(slope) == pytest.approx(float(value(at + h) - value(at - h)) / (2 * h), rel=1e-4)
        assert abs(float(slope)) > 1.0


def test_what_is_no_surface_is_refused_before_anything_compiles(climber):
    for call in (score, analyse):
        with pytest.raises(ValueError, match="surface: expected an object with nearest"):
            call(climber, surface=0.17)
    with pytest.raises(ValueError, match="surface: the published reward knows none but the floor z = 0"):
        score(climber, "phymotion", surface=Plane())


def test_the_same_body_can_stand_under_another_gravity(humanoid):
    moon = humanoid.with_gravity((0, 0, -1.62))
    assert moon is humanoid.with_gravity([0.0, 0.0, -1.62]) and humanoid.model.opt.gravity[2] == -9.81
    assert moon.weight == pytest.approx(1.62 * humanoid.mass) and moon.mass == humanoid.mass
    assert humanoid.with_gravity((0, 3, -4)).up == pytest.approx([0, -0.6, 0.8])
    assert humanoid.with_gravity((0, 0, 0)).up == pytest.approx([0, 0, 1])
    with pytest.raises(ValueError, match=r"gravity: expected three finite numbers, found 9\.81"):
        humanoid.with_gravity(9.81)
