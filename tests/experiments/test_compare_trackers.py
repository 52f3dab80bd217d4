"""The table of trackers: what stands in it, and what is wrong with a command."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from experiments import compare_trackers
from mjxhuman.data.builtin import builtin_path


def result(success: bool, error: float) -> SimpleNamespace:
    return SimpleNamespace(success=success, mpjpe_g=error)


def test_shares_are_means_over_clips_and_seeds():
    seeds = [[result(True, 40.0), result(False, 900.0)], [result(True, 50.0), result(True, 60.0)]]
    results = dict.fromkeys(compare_trackers.CONDITIONS, seeds) | {"first frame": seeds[:1]}
    found = compare_trackers.shares(results)
    assert found["first frame"] == 0.5 and found["perturbed"] == 0.75 and found["mm"] == 40.0
    text = compare_trackers.table({"trained": {"out/expert": found}}, {"trained": 2})
    assert "| trained (2) | out/expert | 50 % | 75 % |" in text and text.count("\n") == 2


def test_each_condition_is_judged_with_every_seed_and_the_calm_one_once():
    rounds = []

    def judge(motions, names, *, score, disturbance):
        rounds.append((disturbance.push, disturbance.perturbed, disturbance.seed))
        return [SimpleNamespace(result=result(True, 10.0)) for _ in motions]

    found = compare_trackers.judged(judge, {"walk": None, "jump": None}, 3, lambda: None)
    assert len(rounds) == 1 + 3 * (len(compare_trackers.CONDITIONS) - 1) == len(set(rounds))
    assert [len(seeds) for seeds in found.values()][:2] == [1, 3] and len(found["perturbed"][0]) == 2


def test_sets_are_named():
    path = builtin_path("walk")
    assert compare_trackers.parsed(f"calm, planned={path}; raw={path},{path}") == {
        "calm, planned": [path], "raw": [path],
    }  # fmt: skip
    for wrong in ("", "walks", "=x.npz"):
        with pytest.raises(ValueError, match="--sets: expected NAME=PATTERNS"):
            compare_trackers.parsed(wrong)
