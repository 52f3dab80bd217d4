import pytest

from mjxhuman.math.statistics import wilson_interval


def test_intervals_are_those_of_the_literature():
    assert wilson_interval(16, 16) == pytest.approx((0.8064, 1.0), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match="expected 0 to 3, found 4"):
        wilson_interval(4, 3)
