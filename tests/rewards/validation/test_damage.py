"""Each injected defect does what it says, and lowers the total."""

import itertools

import numpy as np
import pytest

from mjxhuman.rewards.validation import damage, ranking


def test_kinds_are_listed_with_rising_severities():
    assert len(damage.DAMAGES) == 12
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


@pytest.mark.parametrize("name", [k for k in damage.DAMAGES if k not in ("freeze_in_flight", "hover", "speed_up")])
def test_defects_of_a_standing_body_lower_the_total_monotonically(humanoid, motion, standing, name):
    pairs = list(ranking.damaged_pairs("standing", motion(standing), kinds=[name]))
    totals = [pairs[0].clean, *(p.damaged for p in pairs)]
    assert all(a > b for a, b in itertools.pairwise(totals)), totals


@pytest.mark.parametrize("name", ["freeze_in_flight", "hover"])
def test_defects_of_a_flight_lower_the_total(motion, falling, name):
    pairs = list(ranking.damaged_pairs("falling", motion(falling), kinds=[name]))
    assert len(pairs) == 3 and all(p.lower for p in pairs)


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
