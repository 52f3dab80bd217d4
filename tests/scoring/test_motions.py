"""The reward on batches of motion: every form of a built-in clip and of a real file, what is wrong with a batch, and
that samples do not touch one another."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import mjxhuman
from mjxhuman.data.joints import features_to_joints
from mjxhuman.data.source import up_rotation
from mjxhuman.scoring import motions
from mjxhuman.scoring.motions import motion_reward

pytestmark = pytest.mark.compiled

FPS = 20.0
REAL = "data/asap_smpl/video_walk_level2_filter_amass.npz"


@pytest.fixture(scope="module")
def walk(humanoid):
    """The built-in walk at the rate of HumanML3D, 2 s."""
    from mjxhuman.data.builtin import load_builtin_clip

    clip = load_builtin_clip()
    motion = mjxhuman.motion_from_qpos(humanoid, clip.qpos, clip.fps)
    return mjxhuman.motion_from_qpos(humanoid, np.asarray(mjxhuman.resample(motion, FPS).qpos)[:40], FPS)


@pytest.fixture(scope="module")
def joints(walk):
    """(40, 22, 3) m, y up: SMPL's joints as HumanML3D has them."""
    places = np.asarray(walk.body_pos, np.float64)[:, list(walk.humanoid.smpl_body_ids[:22])]
    return places @ up_rotation("y")


@pytest.fixture(scope="module")
def alone(joints):
    return motion_reward(joints[None], FPS)


def as_features(joints: np.ndarray) -> np.ndarray:
    """HumanML3D's features of joints (T, 22, 3) y up, as Guo et al. (2022, section 4) define them: what is read."""
    across = joints[:, 1] - joints[:, 2] + joints[:, 16] - joints[:, 17]
    forward = np.cross(across, [0.0, 1.0, 0.0])
    heading = np.unwrap(np.arctan2(forward[:, 0], forward[:, 2]))
    to_root = Rotation.from_euler("y", -heading[:, None])
    features = np.zeros((len(joints), 263))
    features[:-1, 0] = -np.diff(heading) / 2
    features[:-1, 1:3] = to_root[1:].apply(np.diff(joints[:, 0], axis=0))[:, [0, 2]]
    features[:, 3] = joints[:, 0, 1]
    local = joints[:, 1:] - joints[:, :1] * [1, 0, 1]
    features[:, 4:67] = np.stack([r.apply(x) for r, x in zip(to_root, local, strict=True)]).reshape(len(joints), 63)
    return features


def equal(one, other, row=slice(None), other_row=slice(None)):
    """The numbers of some rows, to what float32 in blocks of another size leaves."""
    columns, others = one.to_dict(), other.to_dict()
    assert list(columns) == list(others)
    for name in columns:
        if name not in ("clip", "reason"):
            np.testing.assert_allclose(columns[name][row], others[name][other_row], rtol=1e-4, atol=1e-5, err_msg=name)


def test_coordinates_score_as_the_motion_does(walk):
    scores = motion_reward(np.asarray(walk.qpos)[None], FPS)
    own = mjxhuman.score(walk)
    assert scores.valid[0] and scores.reason == ("",) and scores.frames == {}
    assert scores.total[0] == pytest.approx(float(own.total), abs=1e-6)
    assert set(scores.terms) == set(own.terms) and scores.humanoid == own.humanoid
    for name, value in own.terms.items():
        assert scores.terms[name][0] == pytest.approx(float(value), rel=1e-5, abs=1e-6), name
    equal(scores, motion_reward({"qpos": np.asarray(walk.qpos)[None]}, [FPS], prompts=["a walk"]))


def test_joints_of_a_clip_score_as_the_clip(walk, alone):
    own = mjxhuman.score(walk)
    assert alone.valid[0]
    assert alone.total[0] == pytest.approx(float(own.total), abs=0.05)
    for axis, value in own.axes.items():
        assert alone.axes[axis][0] == pytest.approx(float(value), abs=0.1), axis
    assert alone.terms["fit_m"][0] < 1e-3 and alone.terms["fit_p95_m"][0] < 5e-3


def test_features_are_the_joints(joints, alone):
    """Place and heading of the first frame are not in them; the score does not depend on those."""
    scores = motion_reward(as_features(joints)[None], FPS)
    assert scores.total[0] == pytest.approx(float(alone.total[0]), abs=2e-3)
    assert scores.terms["fit_m"][0] == pytest.approx(float(alone.terms["fit_m"][0]), abs=1e-4)


def test_features_are_read_as_published():
    """``recover_from_ric`` of HumanML3D restated on random numbers: turns are half angles and come a frame later, steps
    are taken in the frame that follows, the root's height stands alone."""
    features = np.random.default_rng(0).standard_normal((9, 263))
    half = np.cumsum(np.concatenate([[0.0], features[:-1, 0]]))
    to_world = Rotation.from_quat(
        np.stack([np.cos(half), 0 * half, np.sin(half), 0 * half], -1), scalar_first=True
    ).inv()
    steps = np.zeros((9, 3))
    steps[1:, [0, 2]] = features[:-1, 1:3]
    root = np.cumsum(to_world.apply(steps), axis=0)
    local = np.stack([to_world[t].apply(features[t, 4:67].reshape(21, 3)) for t in range(9)])
    joints = np.concatenate([root[:, None] * [1, 0, 1], local + root[:, None] * [1, 0, 1]], axis=1)
    joints[:, 0, 1] = features[:, 3]
    np.testing.assert_allclose(features_to_joints(features), joints, atol=1e-12)


def test_other_axes_and_units(joints, alone):
    turned = joints @ up_rotation("y").T * 100.0
    equal(motion_reward(turned[None], FPS, up="z", unit="cm"), alone)


@pytest.mark.parametrize("kind", ["jax", "torch", "bfloat16", "sequence"])
def test_any_kind_of_array(walk, kind, monkeypatch):
    """Only the numbers must arrive; what follows is not repeated."""
    qpos = np.asarray(walk.qpos)[None]
    seen = []
    monkeypatch.setattr(motions, "_scored", lambda posed, reward: seen.extend(posed) or ["not scored"])
    if kind == "jax":
        import jax.numpy as jnp

        batch = jnp.asarray(qpos)
    elif kind == "sequence":
        batch = list(qpos)
    else:
        torch = pytest.importorskip("torch", reason="torch is not installed")
        batch = torch.from_numpy(qpos.copy()).requires_grad_()
        batch = batch.bfloat16() if kind == "bfloat16" else batch
    motion_reward(batch, FPS)
    np.testing.assert_allclose(seen[0].qpos, qpos[0], atol=0.02 if kind == "bfloat16" else 0)


def test_bad_samples_are_marked_and_change_nothing_for_others(joints, alone):
    batch = np.stack([joints] * 6)
    batch[0, 12, 3, 1] = np.nan
    batch[2] *= 10.0
    batch[3] = 0.0
    batch[4] = joints[:, [0, 2, 1, 3, 5, 4, 6, 8, 7, 9, 11, 10, 12, 14, 13, 15, 17, 16, 19, 18, 21, 20]]
    batch[5, :, 20:] += 3.0 * np.random.default_rng(0).standard_normal((40, 2, 3))
    batch[5, :, 12:20] += np.random.default_rng(1).standard_normal((40, 8, 3))
    scores = motion_reward(batch, FPS)
    assert list(scores.valid) == [False, True, False, False, False, False]
    assert np.isnan(scores.total[[0, 2, 3, 4, 5]]).all() and np.isnan(scores.axes["contact"][0])
    assert scores.reason[1] == "" and all(r.startswith(f"batch[{i}]: ") for i, r in enumerate(scores.reason) if r)
    for row, expected in ((0, "frame 13: .*not finite"), (2, "stature of 15"), (3, "stature"), (4, "mirrored")):
        assert re.search(expected, scores.reason[row]), scores.reason[row]
    assert "from the body that fits them" in scores.reason[5]
    equal(scores, alone, 1, 0)


def test_padded_clips_score_as_they_do_alone(walk, joints, alone):
    """Whatever stands in the padding, in joints, in coordinates, and in a sequence of unequal lengths."""
    batch = np.stack([joints, joints])
    batch[1, 30:] = np.nan
    scores = motion_reward(batch, FPS, lengths=[40, 30])
    short = motion_reward([joints[:30]], FPS)
    equal(scores, alone, 0, 0)
    equal(scores, short, 1, 0)
    equal(scores, motion_reward([joints, joints[:30]], FPS))
    qpos = np.asarray(walk.qpos)
    scores = motion_reward([qpos, qpos[:25], qpos[:3], qpos[:2]], FPS)
    equal(scores, motion_reward(qpos[None, :25], FPS), 1, 0)
    assert list(scores.valid) == [True, True, False, False]
    assert "batch[2]: not scored" in scores.reason[2]
    assert scores.reason[3] == "batch[3]: qpos: found 2 frames, expected at least 3"


def test_frame_rate_and_floor_count(walk, joints):
    qpos = np.asarray(walk.qpos)
    scores = motion_reward(np.stack([qpos, qpos]), [FPS, 4.0 * FPS])
    assert scores.total[1] < scores.total[0] - 0.05
    scores = motion_reward(np.stack([joints, joints + [0.0, 0.3, 0.0]]), FPS, ground="none")
    assert scores.total[1] < scores.total[0] - 0.2


def test_a_body_of_ones_own(walk, joints):
    tall = mjxhuman.load_humanoid("smpl", stature=1.9)
    scores = motion_reward(joints[None], FPS, humanoid=tall)
    assert scores.valid[0] and scores.humanoid == tall.description


@pytest.mark.slow
def test_the_published_reward(walk):
    scores = motion_reward(np.asarray(walk.qpos)[None], FPS, reward="phymotion")
    assert scores.reward == "phymotion"
    assert scores.total[0] == pytest.approx(float(mjxhuman.score(walk, "phymotion").total), abs=1e-5)


def test_parameters_of_smpl_score_as_their_file(shared):
    own = mjxhuman.score(mjxhuman.load_motion(shared / REAL))
    with np.load(shared / REAL) as file:
        poses, trans, betas = file["poses"][None], file["trans"][None], file["betas"][None]
    one = motion_reward({"poses": poses, "trans": trans, "betas": betas}, 30, up="z")
    vectors = poses.reshape(1, -1, 24, 3)
    matrices = Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(*vectors.shape, 3)
    parts = {"global_orient": matrices[:, :, :1], "body_pose": matrices[:, :, 1:], "transl": trans}
    for scores in (one, motion_reward(parts, 30, up="z")):
        assert scores.total[0] == pytest.approx(float(own.total), abs=1e-4)
        for axis, value in own.axes.items():
            assert scores.axes[axis][0] == pytest.approx(float(value), abs=1e-4), axis
    broken = np.concatenate([poses, poses])
    broken[0, 5, 7] = np.inf
    scores = motion_reward({"poses": broken, "trans": np.concatenate([trans, trans])}, 30, up="z")
    assert list(scores.valid) == [False, True] and "frame 6" in scores.reason[0]
    equal(scores, one, 1, 0)


POSES, TRANSL = np.zeros((2, 5, 24, 3)), np.zeros((2, 5, 3))
POINTS = np.zeros((2, 5, 22, 3))


@pytest.mark.parametrize(
    ("batch", "options", "message"),
    [
        (np.zeros((2, 5, 7)), {}, r"found an array of shape \('B', 5, 7\), expected one of: joints .*263.*qpos.*poses"),
        (np.zeros((2, 22, 3, 5)), {}, r"expected one of: joints \(B, T, 22, 3\)"),
        (np.zeros((2, 5, 24, 3)), {}, r"can be read as positions of joints, .*, or rotations"),
        (np.zeros((2, 5, 22, 3), complex), {}, r"batch: found ndarray of complex128, expected an array of real numb"),
        (None, {}, r"batch: found NoneType of object, expected an array of real numbers"),
        (3.0, {}, r"batch: found one number"),
        ([], {}, r"batch: found no clip"),
        ({}, {}, r"found a mapping of nothing, expected one of"),
        ({"poses": POSES}, {}, r"found a mapping of poses, expected one of"),
        ({"poses": POSES, "transl": TRANSL, "gender": POSES}, {}, r"found a mapping of gender, poses, transl"),
        ({"poses": POSES, "transl": TRANSL}, {}, r"up: found None, expected the axis that is up"),
        ({"joints": np.zeros((2, 5, 24, 3))}, {}, r"up: found None, expected the axis that is up"),
        ({"poses": np.zeros((2, 5, 24, 4)), "transl": TRANSL}, {"up": "z"}, r"poses: .*\(5, 24, 4\), expected .*rotat"),
        ({"poses": POSES, "transl": TRANSL[:, :4]}, {"up": "z"}, r"as many frames in each array, .*poses 5, transl 4"),
        ({"poses": POSES, "transl": TRANSL[:1]}, {"up": "z"}, r"as many clips in each array, .*poses 2, transl 1"),
        ({"features": np.zeros((2, 5, 260))}, {}, r"features: found an array of shape \(5, 260\), expected \(T, 263\)"),
        ({"qpos": np.zeros((2, 5, 98))}, {}, r"qpos: found an array of shape \(5, 98\), expected \(T, 99\)"),
        ({"qpos": np.zeros((2, 5, 99))}, {"up": "y"}, r"up, unit: expected z and m"),
        (POINTS, {"fps": [20]}, r"batch: found 2 clips and 1 rates"),
        (POINTS, {"fps": 0}, r"fps: expected positive numbers .*batch\[0\]"),
        (POINTS, {"prompts": ["one"]}, r"found 2 clips and 1 prompts"),
        (POINTS, {"lengths": [5]}, r"lengths: expected \(2,\) whole numbers of frames"),
        (POINTS, {"lengths": [5, 6]}, r"lengths\[1\]: expected 1 to 5 frames, found 6"),
        (POINTS, {"up": "q"}, r"up: expected"),
        (POINTS, {"unit": "ell"}, r"unit: expected"),
        (POINTS, {"ground": "air"}, r"ground: expected one of none"),
        (POINTS, {"reward": "x"}, r"reward: expected one of feasibility"),
        (POINTS, {"workers": 0}, r"workers: expected at least 1"),
    ],
)  # fmt: skip
def test_wrong_calls_raise_before_anything_is_computed(batch, options, message, monkeypatch):
    monkeypatch.setattr(motions, "_posed", lambda *_: pytest.fail("a clip was looked at"))
    with pytest.raises(ValueError, match=message):
        motion_reward(batch, **{"fps": 20, **options})
