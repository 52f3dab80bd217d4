"""Marker sets as laboratories publish them: spellings, joints without markers, the size of the subject."""

from __future__ import annotations

import numpy as np
import pytest

from mjxhuman.data import read_motion
from mjxhuman.data.joint_names import marker_bodies, marker_word
from mjxhuman.math import quaternion
from mjxhuman.retarget import markers, retarget_with_report, stature
from mjxhuman.retarget.centres import functional_centre, regression_hips
from mjxhuman.retarget.chain import chain_of
from mjxhuman.retarget.completion import completed


@pytest.mark.parametrize(
    ("name", "side", "word"),
    [
        ("r.knee.medial", "R", "mknee"), ("l_fle", "L", "lknee"), ("asisr", "R", "asis"), ("r.ankle", "R", "ankle"),
        ("cv7", "", "c7"), ("l.shank.top.lateral", "L", "shank"), ("heel", "", "heel"), ("rtam", "R", "mankle"),
        ("knee_lat_l", "L", "lknee"),
    ],
)  # fmt: skip
def test_spellings_of_the_usual_sets(name, side, word):
    assert marker_word(name) == (side, word)


def test_unknown_names_stay_unknown():
    assert marker_bodies(["ball", "wall_left", "stick"]) == {}


def test_hips_by_the_published_regression():
    """A pelvis 240 mm wide and 150 mm deep: Harrington's equations give -45.9, -82.9 and 86.5 mm."""
    left, right = (np.tile([0.0, y, 1.0], (5, 1)) for y in (0.12, -0.12))
    found = regression_hips((left, right), np.tile([-0.15, 0.0, 1.0], (5, 1)))
    np.testing.assert_allclose(found["L_Hip"][0], [-0.0459, 0.0865, 1.0 - 0.0829], atol=1e-6)
    np.testing.assert_allclose(found["R_Hip"][0], [-0.0459, -0.0865, 1.0 - 0.0829], atol=1e-6)


def test_a_hinge_between_two_clusters_is_found():
    rng = np.random.default_rng(1)
    frames = 60
    angle = np.linspace(0.0, 1.2, frames)
    above = quaternion.about(np.array([0.0, 0.0, 1.0]), 0.3 * np.sin(4 * angle))
    below = quaternion.multiply(above, quaternion.about(np.array([0.0, 1.0, 0.0]), angle))
    knee = np.stack([angle, 0.2 * angle, 0.5 + 0.1 * angle], -1)
    thigh, shank = ([0.05, 0.0, 0.2] + 0.06 * rng.normal(size=(4, 3)) for _ in range(2))
    clusters = [
        knee[:, None] + np.stack([quaternion.rotate(q, sign * x) for x in shape], 1)
        for q, shape, sign in ((above, thigh, 1.0), (below, shank, -1.0))
    ]
    seen = np.ones(frames, bool)
    guess = knee + quaternion.rotate(above, np.array([0.04, 0.0, 0.03]))
    found = functional_centre(*clusters, seen, guess, angle < 0.1)
    assert found is not None
    assert np.linalg.norm(guess - knee, axis=-1).max() > 0.045
    assert np.linalg.norm(found - knee, axis=-1).max() < 0.008
    assert functional_centre(clusters[0][:, :2], clusters[1], seen, guess, seen) is None


def cut(motion, without):
    keep = [k for k, name in enumerate(motion.names) if not without(name.lower())]
    return motion.replace(
        pos=np.asarray(motion.pos)[:, keep], valid=np.asarray(motion.valid)[:, keep],
        names=tuple(motion.names[k] for k in keep),
    )  # fmt: skip


WITHOUT = {
    "knee": ("kjc", "lfc", "mfc"),
    "trunk": ("c7", "clav", "acr", "ash", "psh", "sjc", "lel", "mel", "ejc", "ua1", "ua2", "ua3", "fa"),
}


@pytest.mark.parametrize("missing", list(WITHOUT))
def test_sets_without_knees_or_trunk_are_completed(shared, humanoid, missing):
    chain = chain_of(humanoid)
    whole = read_motion(shared / "data" / "grf" / "arnold_synthetic_s18" / "walk2_markers.trc")
    part = cut(whole, lambda name: any(word in name for word in WITHOUT[missing]))
    assert len(part.names) < len(whole.names)
    full, notes = completed(part, chain)
    found, _ = markers.read_markers(full, chain, "part")
    assert any(missing in note.lower() for note in notes)
    true = np.asarray(whole.pos, float)[:, whole.names.index("LKJC")]
    assert np.median(np.linalg.norm(found["L_Knee"] - true, axis=-1)) < 0.03
    _, report = retarget_with_report(part)
    assert report["median_mm"] < 10.0
    assert report["body"]["stature"] == pytest.approx(1.775, rel=0.03)


def test_a_complete_set_is_left_alone(shared, humanoid):
    motion = read_motion(shared / "data" / "grf" / "opencap_subject4" / "walking1_markers.trc")
    assert completed(motion, chain_of(humanoid)) == (motion, ())


@pytest.mark.parametrize("name", ["walking1", "walkingTO1", "STS1", "DJ1", "DJAsym1"])
def test_one_subject_has_one_stature(shared, humanoid, name):
    motion = read_motion(shared / "data" / "grf" / "opencap_subject4" / f"{name}_markers.trc")
    joints, _ = markers.read_markers(motion, chain_of(humanoid), name)
    assert stature.size(joints, chain_of(humanoid), anatomical=True).stature == pytest.approx(1.665, abs=0.01)


def test_the_stated_stature_is_met(shared, humanoid):
    motion = read_motion(shared / "data" / "grf" / "arnold_synthetic_s18" / "walk2_markers.trc")
    joints, _ = markers.read_markers(motion, chain_of(humanoid), "s18")
    found = stature.size(joints, chain_of(humanoid), anatomical=True)
    assert found.stature == pytest.approx(1.775, rel=0.03) and 0.02 < found.spread < 0.06
    assert set(found.lengths) == {"thigh", "shank", "foot", "upper arm", "forearm", "trunk"}
