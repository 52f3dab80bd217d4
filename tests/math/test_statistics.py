import numpy as np
import pytest
import scipy.stats

from mjxhuman.math.statistics import bootstrap_interval, clustered_interval, wilson_interval


def test_intervals_are_those_of_the_literature():
    assert wilson_interval(16, 16) == pytest.approx((0.8064, 1.0), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson_interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_more_successes_than_trials_are_refused():
    with pytest.raises(ValueError, match="expected 0 to 3, found 4"):
        wilson_interval(4, 3)


def test_trials_of_equal_groups_count_as_often_as_there_are_groups():
    hits, groups = [True] * 8 * 5 + [False] * 8 * 5, [i // 8 for i in range(80)]
    low, high = clustered_interval(hits, groups)
    # five of ten groups; the variance over groups has 9 degrees of freedom instead of 10
    assert (low, high) == pytest.approx(wilson_interval(4.5, 9), abs=1e-9)
    assert clustered_interval([True] * 20, [i // 4 for i in range(20)]) == wilson_interval(5, 5)
    assert clustered_interval([True, False] * 3, range(6)) == pytest.approx(wilson_interval(2.5, 5), abs=1e-9)
    assert clustered_interval([], []) == (0.0, 1.0)
    with pytest.raises(ValueError, match="expected one for each of 2 trials, found 1"):
        clustered_interval([True, False], [0])


def test_intervals_of_groups_hold_the_truth():
    """Rates of 40 objects with five cases each: of 400 draws about 95 % hold the mean, those over cases far fewer."""
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(400):
        rate = rng.choice([0.1, 0.9], size=40)
        hits = rng.random((40, 5)) < rate[:, None]
        groups = np.repeat(np.arange(40), 5).tolist()
        flat = hits.reshape(-1).tolist()
        for i, (low, high) in enumerate((clustered_interval(flat, groups), wilson_interval(sum(flat), len(flat)))):
            held[i] += low <= 0.5 <= high
    assert 0.92 < held[0] / 400 < 0.98 and held[1] / 400 < 0.85


def test_the_bootstrap_is_that_of_scipy_where_each_value_is_a_group():
    """And wider where values come in groups that are alike."""
    values = np.random.default_rng(0).normal(size=60)
    wanted = scipy.stats.bootstrap((values,), np.mean, method="percentile", random_state=1).confidence_interval
    found = bootstrap_interval(values.tolist(), range(60))
    assert found == pytest.approx((wanted.low, wanted.high), abs=0.02)
    low, high = bootstrap_interval(np.repeat(values[:12], 5).tolist(), np.repeat(np.arange(12), 5).tolist())
    assert high - low == pytest.approx(2 * 1.96 * values[:12].std() / np.sqrt(12), rel=0.1)
    assert np.isnan(bootstrap_interval([], [])).all()
    with pytest.raises(ValueError, match="expected one for each of 2 values, found 1"):
        bootstrap_interval([1.0, 2.0], [0])
