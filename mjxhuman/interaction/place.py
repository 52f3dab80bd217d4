"""Where furniture and a person begin: the moment that is held, and the furniture under who sits at it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mjxhuman.interaction.seat import Sitting, find_sitting
from mjxhuman.math import quaternion
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.scenes.objects import named_once
from mjxhuman.scenes.types import Scene
from mjxhuman.tracking.evaluate import cut
from mjxhuman.types import Motion

#: Kinds that are sat on, and m from the hip joints of who sits to the middle of what is before them.
SEATS, BEFORE = ("chair", "stool", "bench", "sofa"), 0.75
#: Frames that a moment is held for.
_FRAMES = 5


def joined(scenes: Sequence[Scene]) -> Scene:
    """Objects of several scenes in the first one's room; of equal ones the second is named "chair:2"."""
    objects = named_once([o for scene in scenes for o in scene.objects])
    return dataclasses.replace(scenes[0], objects=objects, poses=np.concatenate([np.asarray(s.poses) for s in scenes]))


def sitting_of(motion: Motion) -> Sitting | None:
    """``find_sitting``; None where nobody sits."""
    try:
        return find_sitting(motion)
    except ValueError:
        return None


def moment(motion: Motion, seconds: float | None = None) -> tuple[Motion, int]:
    """A moment of a motion as a motion that stands still, and its frame.

    Args:
      seconds: which; None: the middle of the longest sitting, else the last frame.

    Raises:
      ValueError: no such moment.
    """
    frame = motion.num_frames - 1
    if seconds is not None:
        frame = round(seconds * motion.fps)
        if not 0 <= frame < motion.num_frames:
            raise ValueError(f"--at: expected 0 to {(motion.num_frames - 1) * motion.dt:.2f} s, found {seconds:g} s")
    elif (found := sitting_of(motion)) is not None:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], found.frames, [False]])))
        begin, end = max(edges.reshape(-1, 2).tolist(), key=lambda spell: spell[1] - spell[0])
        frame = (begin + end) // 2
    still = np.tile(np.asarray(motion.qpos)[frame], (_FRAMES, 1))
    return motion_from_qpos(motion.humanoid, still, 30.0, provenance=motion.provenance), frame


def part(motion: Motion, begin: float, end: float) -> Motion:
    """A motion from one time to another, s; its frames are the nearest ones.

    Raises:
      ValueError: times that the motion does not have, or not one after the other.
    """
    first, last = round(begin * motion.fps), round(end * motion.fps)
    if not 0 <= first < last < motion.num_frames:
        raise ValueError(
            f"--clip: expected two times from 0 to {(motion.num_frames - 1) * motion.dt:.2f} s, the earlier first, "
            f"found {begin:g} and {end:g} s"
        )
    return cut(motion, first, last + 1)


def placed(motion: Motion, scene: Scene, which: Sequence[bool] | np.ndarray | None = None) -> Scene:
    """The scene with its first seat under the hips of who sits in a motion, and a first table before them.

    Both face as the person does or towards them. A motion in which nobody sits leaves the scene as it is.

    Args:
      motion: one clip.
      scene: objects at ``poses`` (O, 7).
      which: objects (O,) that may be moved; None: all.
    """
    free = [True] * len(scene.objects) if which is None else which
    found = sitting_of(motion) if any(free) else None
    if found is None:
        return scene
    names = motion.humanoid.body_names
    pos = np.asarray(motion.body_pos, float)[found.frames]
    hips, knees = (pos[:, [names.index(f"L_{j}"), names.index(f"R_{j}")]].mean((0, 1)) for j in ("Hip", "Knee"))
    ahead = (knees - hips)[:2] / np.linalg.norm((knees - hips)[:2])
    yaw = np.arctan2(ahead[1], ahead[0])
    poses = np.array(scene.poses, np.float64)
    for kinds, reach, turn in ((SEATS, 0.0, yaw), (("table",), BEFORE, yaw + np.pi / 2)):
        moves = next((i for i, o in enumerate(scene.objects) if o.kind in kinds and free[i]), None)
        if moves is not None:
            poses[moves, :2] = hips[:2] + reach * ahead
            poses[moves, 3:] = quaternion.about(np.array([0.0, 0.0, 1.0]), np.array([turn]))[0]
    return dataclasses.replace(scene, poses=poses)
