"""Each injected defect does what it says, and lowers the total."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import mjxhuman
from mjxhuman.data.builtin import builtin_path
from mjxhuman.rewards.validation import damage, ranking
from mjxhuman.scenes import Plane

pytestmark = pytest.mark.compiled


def test_kinds_are_listed_with_rising_severities():
    assert len(damage.DAMAGES) == 19
    for kind in damage.DAMAGES.values():
        assert list(kind.severities) == sorted(kind.severities) and len(kind.severities) >= 3


def test_unknown_kind_is_named(humanoid, standing):
    with pytest.raises(KeyError, match="expected one of"):
        damage.apply("melt", humanoid, standing, 30, 1.0)


def test_flight_kinds_need_a_flight(humanoid, standing):
    for name in ("freeze_in_flight", "hover"):
        with pytest.raises(damage.NotApplicable, match="never in flight"):
            damage.apply(name, humanoid, standing, 30, 1.0)


def test_the_same_seed_gives_the_same_damage(humanoid, standing):
    a, b = (damage.apply("jitter_pose", humanoid, standing, 30, 0.1, seed=3) for _ in range(2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, damage.apply("jitter_pose", humanoid, standing, 30, 0.1, seed=4))


#: What a body that stands still cannot suffer, or stands up to for a while.
NEEDS_MOTION = (
    "freeze_in_flight", "hover", "speed_up", "slow_motion", "time_warp", "over_filter", "shrink_path",
    "tilt_floor", "roll_pelvis",
)  # fmt: skip


@pytest.mark.parametrize("name", [k for k in damage.DAMAGES if k not in NEEDS_MOTION])
def test_defects_of_a_standing_body_lower_the_total_monotonically(humanoid, motion, standing, name):
    pairs = list(ranking.damaged_pairs("standing", motion(standing), kinds=[name]))
    totals = [pairs[0].clean, *(p.damaged for p in pairs)]
    assert all(a > b for a, b in itertools.pairwise(totals)), totals


@pytest.fixture(scope="module")
def clips():
    return {name: mjxhuman.load_motion(builtin_path(name)) for name in ("walk", "jump")}


@pytest.mark.parametrize(
    ("name", "clip"),
    [("slow_motion", "jump"), ("time_warp", "walk"), ("over_filter", "walk"), ("shrink_path", "walk")],
)
def test_defects_of_motion_lower_the_total_monotonically(clips, name, clip):
    pairs = list(ranking.damaged_pairs(clip, clips[clip], kinds=[name]))
    totals = [pairs[0].clean, *(p.damaged for p in pairs)]
    assert len(pairs) == 3 and all(a > b for a, b in itertools.pairwise(totals)), totals


def test_slow_motion_needs_a_flight_that_can_be_measured(clips):
    walk = clips["walk"]
    with pytest.raises(damage.NotApplicable, match="no flight"):
        damage.apply("slow_motion", walk.humanoid, np.asarray(walk.qpos), walk.fps, 2.0)


def test_a_rolled_pelvis_leaves_the_legs_their_directions(humanoid, standing):
    rolled = damage.apply("roll_pelvis", humanoid, standing, 30, 0.3)
    knees = [humanoid.body_names.index(n) for n in ("L_Knee", "R_Knee", "L_Ankle", "R_Ankle")]
    before, after = (
        np.asarray(mjxhuman.motion_from_qpos(humanoid, q, 30).body_quat)[:, knees] for q in (standing, rolled)
    )
    assert np.abs(np.sum(before * after, -1)).min() > 0.99999


@pytest.mark.slow
@pytest.mark.parametrize("name", ["freeze_in_flight", "hover"])
def test_defects_of_a_flight_lower_the_total(motion, falling, name):
    pairs = list(ranking.damaged_pairs("falling", motion(falling), kinds=[name]))
    assert len(pairs) == 3 and all(p.lower for p in pairs)


@pytest.mark.parametrize("name", ["float", "sink", "skate", "teleport", "lean", "hover", "freeze_in_flight"])
def test_on_a_slope_under_tilted_gravity_the_damage_is_tilted_too(humanoid, falling, name):
    turn = Rotation.from_rotvec([0.2, 0.3, 0.0])  # about a horizontal axis: random headings turn along

    def tilted(qpos):
        root = (turn * Rotation.from_quat(qpos[:, 3:7], scalar_first=True)).as_quat(scalar_first=True)
        return np.concatenate([turn.apply(qpos[:, :3]), root, qpos[:, 7:]], 1)

    body, ramp = humanoid.with_gravity(turn.apply([0, 0, -9.81])), Plane(normal=turn.apply([0, 0, 1]))
    severity = damage.DAMAGES[name].severities[1]
    level = damage.apply(name, humanoid, falling, 30, severity)
    slope = damage.apply(name, body, tilted(falling), 30, severity, surface=ramp)
    found, expected = slope, tilted(level)
    found[:, 3:7] *= np.sign(np.sum(found[:, 3:7] * expected[:, 3:7], 1, keepdims=True))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_body_that_lands_on_a_platform_is_in_flight_above_it(humanoid, falling):
    platform = Plane(point=np.array([0.0, 0.0, 1.5]))
    [floor], [higher] = (damage.flights(humanoid, falling, 30, s) for s in (None, platform))
    assert floor[0] < higher[0] and higher[1] < floor[1]


def test_ranking_is_summarised_by_kind():
    def pair(kind, severity, damaged):
        return ranking.Pair("clip", kind, severity, 0.9, damaged, {}, {})

    overall, kinds = ranking.summarise([pair("float", 0.1, 0.5), pair("float", 0.2, 0.3), pair("sink", 0.1, 0.95)])
    assert [r.kind for r in kinds] == ["float", "sink"]
    assert kinds[0].lower == 1.0 and kinds[0].spearman == pytest.approx(-1.0)
    assert kinds[1].lower == 0.0 and kinds[1].spearman == pytest.approx(1.0)
    assert overall.pairs == 3 and overall.lower == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="found none"):
        ranking.summarise([])
