"""The interaction benchmark: cases that repeat, a truth that fits, and a table that counts."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.benchmark_hsi import difference, distances, table
from experiments.hsi_cases import Posed, manifest, perturbed, scaled, truth


def test_the_manifest_repeats_and_splits_by_object():
    cases = manifest(60, 20, seed=3)
    assert cases == manifest(60, 20, seed=3) != manifest(60, 20, seed=4)
    splits: dict[int, set[str]] = {}
    for case in cases:
        splits.setdefault(case.object_seed, set()).add(case.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {case.difficulty for case in cases} == {"easy", "medium", "hard"}
    assert {(c.kind, c.damage) for c in cases} > {("chair", None), ("chair", "missing_leg")}


def test_the_truth_touches_its_seat_and_the_perturbed_is_elsewhere():
    case = manifest(4, 4, seed=0)[0]
    true = truth(case)
    near = distances(true)
    assert abs(near[0].min()) < 0.01
    given = perturbed(case, true)
    assert np.linalg.norm(given.motion.qpos[0, :3] - true.motion.qpos[0, :3]) > 0.01
    again = perturbed(case, true)
    np.testing.assert_array_equal(given.motion.qpos, again.motion.qpos)
    larger = scaled(true.scene.objects[0], 1.1)
    np.testing.assert_allclose(np.ptp(larger.points, 0), 1.1 * np.ptp(true.scene.objects[0].points, 0))
    assert isinstance(given, Posed) and larger.mass == true.scene.objects[0].mass


def row(name: str, method: str, kind: int, **more: object) -> dict[str, object]:
    common = {"difficulty": "easy", "split": "test", "half": kind, "double": 4, "valid": kind > 0, "depth_m": 0.02}
    return {"name": name, "method": method, "type": kind, "inside": 0.1, "contact_f1": 1.0, **common, **more}


def test_the_table_counts_types_and_pairs_cases():
    rows = [row(f"c{i}", "none", 2) for i in range(8)] + [row(f"c{i}", "ours", 4 if i < 6 else 0) for i in range(8)]
    found = table(rows, seed=0)
    assert found["ours"]["stability_hsi"] == 0.75 and found["none"]["stability_hsi"] == 0.0
    assert found["ours"]["types"] == {"0": 2, "1": 0, "2": 0, "3": 0, "4": 6} and found["ours"]["unfit"] == 2
    assert found["none"]["sp3d"] == 1.0 and found["ours"]["w_mpjpe_cm"] is None
    gain, low, high = difference(rows, "ours", 0) or []
    assert gain == 0.75 and 0.3 < low < gain < high <= 1.0
    assert found["none"]["over_none"] is None
    assert found["ours"]["interval"][0] == pytest.approx(0.409, abs=0.01)
