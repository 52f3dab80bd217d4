"""Make the files of examples/ out of the built-in clips: motion, damaged copies, keypoints and a film.

    python -m experiments.make_examples --out=examples

The film is drawn by the project's own renderer (offscreen OpenGL, extra "video"); everything else needs numbers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import flags

from mjxhuman.data import write_motion
from mjxhuman.data.builtin import load_builtin_clip
from mjxhuman.data.keypoint_names import LAYOUTS
from mjxhuman.data.npz import QposMotion, save_motion
from mjxhuman.humanoids import load_humanoid
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.interaction.poses import sitting
from mjxhuman.math import camera, quaternion
from mjxhuman.physics.motion import motion_from_qpos, resample
from mjxhuman.report.render import View, render_frames, save_video
from mjxhuman.retarget.chain import chain_of
from mjxhuman.retarget.landmarks import keypoint_set
from mjxhuman.rewards.validation import damage
from mjxhuman.types import SMPL_JOINTS, Motion, SkeletonMotion

from .launch import launch

FPS, FRAMES = 30.0, 75
#: Damaged copies of the walk: file, kind of damage, severity in the kind's unit.
DAMAGED = (("walk_floating", "float", 0.1), ("walk_skating", "skate", 0.8))
SEAT = 0.36  # m, height of what is sat on in sit.npz
PICTURE, FOCAL, DISTANCE = (640, 480), 560.0, 5.0  # px, px, m
KEYPOINTS = tuple(name for name in LAYOUTS["body_25b"] if "Eye" not in name)


def clip(humanoid: Humanoid, name: str) -> Motion:
    """The first seconds of a built-in clip."""
    whole = load_builtin_clip(name)
    motion = resample(motion_from_qpos(humanoid, whole.qpos, whole.fps), FPS)
    return motion_from_qpos(humanoid, np.asarray(motion.qpos)[:FRAMES], FPS, provenance=whole.provenance)


def coordinates(motion: Motion, qpos: np.ndarray, said: str) -> QposMotion:
    """What a file holds of a path of the motion's body."""
    body = motion.humanoid
    facts = {"name": body.name, "layout": body.layout, "stature": body.stature, "mass": body.mass}
    provenance = motion.provenance.with_(conventions=(said,))
    return QposMotion(np.asarray(qpos, np.float32), motion.fps, facts, provenance)


def skeleton(motion: Motion) -> SkeletonMotion:
    """The motion as that of a skeleton, as motion capture has it."""
    body = motion.humanoid
    ids = np.asarray(body.smpl_body_ids)
    rest = motion_from_qpos(body, np.repeat(np.asarray(body.model.qpos0)[None], 3, 0), FPS)
    turned = quaternion.multiply(
        np.asarray(motion.body_quat, float)[:, ids], quaternion.conjugate(np.asarray(rest.body_quat, float)[0, ids])
    )
    parents = [list(ids).index(p) if p in ids else -1 for p in body.model.body_parentid[ids]]
    return SkeletonMotion(
        np.asarray(motion.body_pos, float)[:, ids], turned, np.asarray(rest.body_pos, float)[0, ids],
        np.asarray(motion.valid), motion.fps, SMPL_JOINTS, tuple(parents), motion.provenance,
    )  # fmt: skip


def keypoints(motion: Motion) -> dict[str, np.ndarray]:
    """What a detector would say of the motion in a camera to the right of its path, with 1 px of noise."""
    body = motion.humanoid
    ids = np.asarray(body.smpl_body_ids)
    frame = np.asarray(body.smpl_frame, float)
    pos = np.asarray(motion.body_pos, float)[:, ids]
    quat = quaternion.multiply(np.asarray(motion.body_quat, float)[:, ids], quaternion.conjugate(frame))
    places = keypoint_set(KEYPOINTS, chain_of(body))
    points = pos[:, places.body] + quaternion.rotate(quat[:, places.body], places.point)
    middle = points.mean((0, 1))
    pose = camera.look_at(middle + [0.0, -DISTANCE, 0.1], middle)
    matrix = np.array([[FOCAL, 0, PICTURE[0] / 2], [0, FOCAL, PICTURE[1] / 2], [0, 0, 1.0]])
    uv, _ = camera.project(points, matrix, pose, np.zeros(4))
    uv = np.asarray(uv, float) + np.random.default_rng(0).normal(0.0, 1.0, np.shape(uv))
    return {
        "keypoints": np.concatenate([uv, np.full((*uv.shape[:2], 1), 0.9)], -1).astype(np.float32),
        "names": np.array(KEYPOINTS), "fps": np.float64(motion.fps), "image_size": np.array(PICTURE),
    }  # fmt: skip


def make_files(out: Path) -> list[Path]:
    """Write everything but the film; returns the files."""
    humanoid = load_humanoid("smpl")
    made = []
    for name in ("walk", "jump"):
        motion = clip(humanoid, name)
        made.append(save_motion(out / f"{name}.npz", coordinates(motion, motion.qpos, "made by this project")))
    sits = sitting(humanoid, SEAT)
    made.append(save_motion(out / "sit.npz", coordinates(sits, sits.qpos, *sits.provenance.conventions)))
    walk = clip(humanoid, "walk")
    for name, kind, severity in DAMAGED:
        qpos = damage.apply(kind, humanoid, np.asarray(walk.qpos, float), FPS, severity)
        said = f"damaged on purpose: {kind} {severity:g} {damage.DAMAGES[kind].unit}"
        made.append(save_motion(out / f"{name}.npz", coordinates(walk, qpos, said)))
    made.append(Path(write_motion(out / "walk.bvh", skeleton(walk))))
    np.savez_compressed(out / "walk_keypoints.npz", **keypoints(walk))
    made.append(out / "walk_keypoints.npz")
    return made


def make_film(path: Path) -> Path:
    """Draw the walk from its right, with a camera that stands still."""
    walk = clip(load_humanoid("smpl"), "walk")
    view = View(azimuth=90.0, elevation=-2.0, distance=2.6, follow=False)
    return save_video(path, render_frames(walk.humanoid, np.asarray(walk.qpos), (480, 360), view=view), FPS)


def main(argv: Sequence[str]) -> int:
    """Entry point of absl."""
    del argv
    out = Path(flags.FLAGS.out)
    for path in [*make_files(out), make_film(out / "walk.mp4")]:
        print(f"{path}  {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    flags.DEFINE_string("out", "examples", "Folder of the examples.")
    launch(main)
