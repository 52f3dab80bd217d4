"""Any judge ranks damage, and two judges of the same motions are compared."""

import numpy as np
import pytest

from mjxhuman.rewards.validation import ranking


def height(motion):
    """A judge that dislikes height."""
    return -float(np.asarray(motion.qpos)[:, 2].mean()), {}


def test_a_judge_of_ones_own_ranks_damage(motion, standing):
    pairs = list(ranking.damaged_pairs("standing", motion(standing), reward=height, kinds=["float"]))
    assert len(pairs) == 3 and all(p.lower for p in pairs)
    assert pairs[0].clean == pytest.approx(-standing[:, 2].mean(), abs=1e-5)


def test_judges_are_correlated_over_the_motions_both_know(motion, standing):
    up, down = (
        list(ranking.damaged_pairs("standing", motion(standing), reward=judge, kinds=["float", "sink"]))
        for judge in (height, lambda m: (-height(m)[0], {}))
    )
    assert ranking.correlation(up, up) == (pytest.approx(1.0), 7)
    assert ranking.correlation(up, down) == (pytest.approx(-1.0), 7)
    assert ranking.correlation(up, down[:3])[1] == 4
    assert np.isnan(ranking.correlation(up[:1], down[3:])[0])
