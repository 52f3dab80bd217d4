"""Agreement with people: a score that is right says so, one that says nothing is a coin, and doubt is shown."""

import numpy as np
import pytest

from mjxhuman.rewards.validation.agreement import Preference, agreements, table


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    quality = rng.normal(size=200)
    pairs = [(int(a), int(b)) for a, b in rng.integers(200, size=(400, 2)) if a != b]
    preferences = []
    for a, b in pairs:  # people prefer the better with a probability that is a logistic of the gap
        first = rng.random() < 1 / (1 + np.exp(-2 * (quality[a] - quality[b])))
        better, worse = (a, b) if first else (b, a)
        preferences.append(Preference(f"m{better}", f"m{worse}", f"g{min(a, b) % 40}"))
    values = {
        f"m{k}": {"true": q, "noise": rng.normal(), "turned": -q, "flat": 0.5, "missing": np.nan}
        for k, q in enumerate(quality)
    }
    return {a.name: a for a in agreements(preferences, values, draws=200)}


def test_a_true_score_agrees_and_is_calibrated(found):
    true = found["true"]
    assert 0.75 < true.accuracy < 0.95 and true.accuracy_interval[0] < true.accuracy < true.accuracy_interval[1]
    assert true.spearman > 0.6 and true.calibration < 0.08 and true.log_loss < 0.5


def test_the_opposite_score_disagrees_as_much(found):
    assert found["turned"].accuracy == pytest.approx(1 - found["true"].accuracy)
    assert found["turned"].spearman == pytest.approx(-found["true"].spearman)


def test_scores_that_say_nothing_are_coins(found):
    assert found["flat"].accuracy == 0.5 and found["flat"].log_loss == pytest.approx(np.log(2), abs=1e-3)
    low, high = found["noise"].accuracy_interval
    assert low < 0.5 < high
    assert found["missing"].pairs == 0 and np.isnan(found["missing"].accuracy)


def test_the_table_lists_the_best_first(found):
    ranked = agreements([Preference("a", "b")], {"a": {"x": 1.0, "y": 0.0}, "b": {"x": 0.0, "y": 1.0}}, draws=5)
    assert [a.name for a in ranked] == ["x", "y"]
    assert table(ranked).splitlines()[1].startswith("x ")
    with pytest.raises(ValueError, match="at least one pair"):
        agreements([], {})
