"""The feasibility reward on recorded motion: damage lowers it, clean-up raises it, the frame rate does not matter."""

import numpy as np
import pytest

import mjxhuman
from mjxhuman.rewards.validation import damage, ranking

WALK, JUMP = "cmu_amc/07/07_02.amc", "deepmimic/humanoid3d_jump.txt"


@pytest.fixture(scope="module")
def clip(shared):
    """clip(name): the motion of a file, loaded once."""
    loaded = {}

    def load(name):
        if name not in loaded:
            loaded[name] = mjxhuman.load_motion(shared / "data" / name)
        return loaded[name]

    return load


@pytest.mark.slow
@pytest.mark.parametrize("name", [WALK, JUMP])
def test_every_kind_of_damage_lowers_the_total(clip, name):
    kinds = [kind for kind in damage.DAMAGES if kind not in damage.SUBTLE]
    pairs = list(ranking.damaged_pairs(name, clip(name), kinds=kinds))
    # recorded feet slip a little: the test is not on a spotless clip
    assert pairs[0].clean_terms["foot_slip_m_per_s"] > 0.02
    assert pairs[0].clean > 0.85
    lost = [(p.kind, p.severity) for p in pairs if not p.lower]
    assert not lost
    overall, kinds = ranking.summarise(pairs)
    assert overall.spearman <= -0.9 and all(k.spearman < -0.79 for k in kinds)
    assert {k.kind for k in kinds} >= {"float", "sink", "skate", "lean"}
    if name == JUMP:
        assert {k.kind for k in kinds} >= {"freeze_in_flight", "hover"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["comp_3d_1", "comp_3d_2", "demo_3d_1", "demo_3d_2"])
def test_cleaned_motion_scores_higher(shared, name):
    raw, fixed = (
        mjxhuman.score(mjxhuman.load_motion(shared / "data" / "artefact_pairs" / name / f"{kind}.bvh"))
        for kind in ("raw", "fixed")
    )
    assert fixed.total > raw.total + 0.05
    assert fixed.axes["contact"] > raw.axes["contact"]


@pytest.mark.slow
def test_the_frame_rate_does_not_matter(clip):
    motion = clip(WALK)
    totals = [float(mjxhuman.score(mjxhuman.resample(motion, fps)).total) for fps in (24, 30, 60, 120)]
    assert np.ptp(totals) < 0.05


@pytest.mark.slow
def test_the_published_reward_does_not_see_floating(clip):
    motion = clip(WALK)
    clean, high = (
        mjxhuman.motion_from_qpos(motion.humanoid, np.asarray(motion.qpos) + lift, motion.fps)
        for lift in (0.0, np.eye(1, motion.humanoid.nq, 2)[0] * 0.25)
    )
    blind = [float(mjxhuman.score(m, "phymotion").total) for m in (clean, high)]
    assert blind[0] == pytest.approx(blind[1], abs=0.02)
    assert float(mjxhuman.score(high).total) < float(mjxhuman.score(clean).total) - 0.3
