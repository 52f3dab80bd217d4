"""The interaction benchmark: cases that repeat, people set down on furniture, depths that see through, a table that
counts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import mjxhuman
from experiments.hsi_cases import (
    LIFT,
    SCALE,
    HsiCase,
    Posed,
    difficulty_of,
    distances,
    furniture,
    manifest,
    perturbed,
    seat_of,
    set_down,
    shifted,
    turned,
)
from experiments.hsi_metrics import difference, directional, measured, surfaces, table, touched
from experiments.hsi_pictures import bars
from mjxhuman.alignment import seated, skin_of
from mjxhuman.interaction.simulate import _without


@pytest.fixture(scope="module")
def posed() -> Posed:
    scene = furniture("bench:0")
    height, front = seat_of(scene)
    motion = shifted(seated(mjxhuman.load_humanoid("smpl"), height), np.array([front - 0.22, 0, 0.03]))
    return set_down(Posed(motion, scene))


def points_of(posed: Posed) -> np.ndarray:
    motion = posed.motion
    return skin_of(motion.humanoid).posed(np.asarray(motion.body_pos)[-1], np.asarray(motion.body_quat)[-1])[0]


def test_the_manifest_repeats_and_splits_by_object():
    cases = manifest(120, 60, seed=3)
    assert cases == manifest(120, 60, seed=3) != manifest(120, 60, seed=4)
    splits: dict[str, set[str]] = {}
    for case in cases:
        splits.setdefault(case.object, set()).add(case.split)
    assert len(splits) == 60 and all(len(found) == 1 for found in splits.values())
    assert {case.difficulty for case in cases} == {"easy", "medium", "hard"}
    assert {case.damage for case in cases} == {"", "missing_leg", "short_leg", "tilt", "bumps", "noise"}
    assert cases[:70] == manifest(70, 60, seed=3)  # more cases go on with the same ones
    assert {case.kind for case in cases} == {"chair", "stool", "bench", "sofa", "table", "steps"}


@pytest.mark.parametrize(
    ("kind", "use", "table", "expected"),
    [
        ("chair", "upright", False, "easy"), ("chair", "upright", True, "hard"), ("bench", "lie", False, "hard"),
        ("stool", "upright", False, "medium"), ("sofa", "lean_back", False, "medium"),
    ],
)  # fmt: skip
def test_difficulty(kind, use, table, expected):
    assert difficulty_of(kind, use, table) == expected


def test_who_is_set_down_touches_what_is_below(posed):
    near = distances(posed.scene, points_of(posed))
    assert near.min() == pytest.approx(LIFT, abs=1e-3)
    skin = skin_of(posed.motion.humanoid)
    assert (skin.names.index("Pelvis"), 0) in touched(near, posed.motion)


def test_what_is_perturbed_repeats_and_differs(posed):
    case = HsiCase("case000", "bench:0", "bench", "", "upright", False, "easy", "train", 7)
    given, again = (perturbed(case, posed, posed.scene) for _ in range(2))
    np.testing.assert_array_equal(given.motion.qpos, again.motion.qpos)
    assert np.linalg.norm(given.motion.qpos[0, :3] - posed.motion.qpos[0, :3]) > 0.01
    size = np.ptp(given.scene.objects[0].points, 0) / np.ptp(posed.scene.objects[0].points, 0)
    assert SCALE[0] < abs(size[0] - 1) < SCALE[1] and np.ptp(size) < 1e-6


def test_depth_along_the_contact_sees_through_a_thin_seat(posed):
    skin = skin_of(posed.motion.humanoid)
    contact = [(skin.names.index("Pelvis"), 0)]
    sunk = posed._replace(motion=shifted(posed.motion, np.array([0, 0, -0.03 - LIFT])))
    assert directional(posed, contact) == 0.0
    assert directional(sunk, contact) == pytest.approx(0.03 / np.cos(np.radians(27)), abs=0.004)  # the side looks back


def test_surfaces_agree_with_themselves_and_follow_the_pose(posed):
    assert surfaces(posed, posed) == (0.0, 1.0)
    away = posed._replace(scene=turned(posed.scene, np.pi / 2))
    apart, f_score = surfaces(away, posed)
    assert apart > 0.1 and f_score < 0.7


def test_the_truth_itself_has_no_error(posed):
    outcome = dataclasses.replace(_without("", posed.scene), type=4, motion=posed.motion, valid=True)
    row = measured(posed, posed, outcome)
    assert row["contact_f1"] == row["f_score"] == 1.0 and row["type"] == 4
    assert row["w_mpjpe_cm"] == pytest.approx(0, abs=1e-6) and row["depth_m"] == row["inside"] == 0.0


def row(name: str, method: str, kind: int, **more: object) -> dict[str, object]:
    common = {"difficulty": "easy", "split": "test", "damage": "", "half": kind, "double": 4, "valid": kind > 0}
    more = {"depth_m": 0.02, "inside": 0.1, "directional_m": 0.03, "contact_f1": 1.0, **more}
    return {"name": name, "object": f"stool:{name}", "method": method, "type": kind, **common, **more}


def test_the_table_counts_types_and_pairs_cases(tmp_path):
    rows = [row(f"c{i}", "none", 2) for i in range(8)] + [row(f"c{i}", "ours", 4 if i < 6 else 0) for i in range(8)]
    found = table(rows, seed=0)
    assert found["ours"]["stability_hsi"] == 0.75 and found["none"]["stability_hsi"] == 0.0
    assert found["ours"]["types"] == {"0": 2, "1": 0, "2": 0, "3": 0, "4": 6} and found["ours"]["unfit"] == 2
    assert found["none"]["sp3d"] == 1.0 and found["ours"]["w_mpjpe_cm"] is None
    assert found["ours"]["by_difficulty"] == {"easy": 0.75, "medium": None, "hard": None}
    gain, low, high = found["ours"]["over"]["none"]
    assert gain == 0.75 and 0.3 < low < gain < high <= 1.0
    assert difference(rows, "none", "paper", 0) is None
    assert found["ours"]["interval"][0] == pytest.approx(0.38, abs=0.01)
    # the same cases on two objects, of which one is always lost: nothing is known of a third
    two = [{**r, "object": "stool:1" if r["name"] < "c6" else "stool:2"} for r in rows]
    assert table(two, seed=0)["ours"]["over"]["none"][1:] == [0.0, 1.0]
    low, high = table(two, seed=0)["ours"]["interval"]
    assert high - low > 0.7
    assert bars(found, tmp_path / "stability.png").stat().st_size > 1000
