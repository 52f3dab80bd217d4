"""Other motions out of a motion: its mirror image, the same path at another speed, the same steps along a bent path."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import mujoco
import numpy as np

from mjxhuman.math import quaternion
from mjxhuman.physics.motion import motion_from_qpos
from mjxhuman.types import Motion


def mirrored(motion: Motion) -> Motion:
    """The mirror image of a person's motion in the world's xz-plane: left and right change places.

    Raises:
        ValueError: the body has other joints than a free root and ball joints, or its left and right are not those of
            SMPL's topology.
    """
    body = motion.humanoid
    if not body.is_smpl or body.layout != "ball":
        raise ValueError(f"mirrored: expected a body of SMPL's topology with ball joints, found {body.description}")
    model, names = body.model, list(body.body_names)
    hips = [model.body_pos[names.index(name)] for name in ("L_Hip", "R_Hip")]
    sign = -np.ones(3)  # a reflection turns rotations about its normal as before, about other axes the other way
    sign[np.argmax(np.abs(hips[0] - hips[1]))] = 1.0
    qpos = np.asarray(motion.qpos)
    new = qpos.copy()
    new[..., 1] = -qpos[..., 1]
    # W R O with the reflections W and O is W R W, whose quaternion has other signs, times W O
    rest = quaternion.from_matrix(np.diag([1.0, -1.0, 1.0] * -sign))
    new[..., 3:7] = quaternion.multiply(qpos[..., 3:7] * [1.0, -1.0, 1.0, -1.0], rest)
    for joint in range(1, model.njnt):
        other = body.known.mirrored(names[model.jnt_bodyid[joint]])
        row, source = model.jnt_qposadr[joint], model.jnt_qposadr[model.body_jntadr[names.index(other)]]
        assert model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_BALL
        new[..., row] = qpos[..., source]
        new[..., row + 1 : row + 4] = sign * qpos[..., source + 1 : source + 4]
    return motion_from_qpos(body, new, motion.fps, valid=motion.valid, provenance=motion.provenance)


def retimed(motion: Motion, speed: float) -> Motion:
    """The same path ``speed`` times as fast: the same frames at another rate.

    Raises:
        ValueError: a speed that is not positive.
    """
    if not speed > 0:
        raise ValueError(f"speed: expected a positive factor, found {speed}")
    return motion_from_qpos(
        motion.humanoid, motion.qpos, motion.fps * speed, valid=motion.valid, provenance=motion.provenance
    )


def bent(motion: Motion, curvature: float) -> Motion:
    """The same steps along a path with so many radians (positive: to the left) more per metre that the root goes.

    The body turns with the path and keeps its angles, so a foot that stands turns about the root: by 0.1 m/s at 1 m/s,
    a curvature of 0.3 1/m and 0.3 m between root and foot.

    Raises:
        ValueError: a curvature that is not finite, or a body whose root is not free.
    """
    qpos = np.array(motion.qpos, float)
    turn, qpos[..., :2] = bent_path(motion, curvature)
    zero = np.zeros_like(turn)
    about_up = np.stack([np.cos(turn / 2), zero, zero, np.sin(turn / 2)], -1)
    qpos[..., 3:7] = quaternion.multiply(about_up, qpos[..., 3:7])
    return motion_from_qpos(motion.humanoid, qpos, motion.fps, valid=motion.valid, provenance=motion.provenance)


def bent_path(motion: Motion, curvature: float) -> tuple[np.ndarray, np.ndarray]:
    """By how much ``bent`` turns each frame about the vertical through the root, ``(*b, T)`` rad, and where it puts the
    root, ``(*b, T, 2)`` m.

    Raises:
        ValueError: as ``bent``.
    """
    if not np.isfinite(curvature):
        raise ValueError(f"curvature: expected a finite number of radians per metre, found {curvature}")
    if motion.humanoid.model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError(f"bent: expected a body with a free root, found {motion.humanoid.description}")
    place = np.array(motion.qpos, float)[..., :2]
    moved = np.diff(place, axis=-2)
    length = np.cumsum(np.linalg.norm(moved, axis=-1), axis=-1)
    turn = curvature * np.concatenate([np.zeros_like(length[..., :1]), length], -1)
    between = 0.5 * (turn[..., 1:] + turn[..., :-1])
    cosine, sine = np.cos(between), np.sin(between)
    steps = [cosine * moved[..., 0] - sine * moved[..., 1], sine * moved[..., 0] + cosine * moved[..., 1]]
    place[..., 1:, :] = place[..., :1, :] + np.cumsum(np.stack(steps, -1), axis=-2)
    return turn, place


@dataclasses.dataclass(frozen=True)
class Variations:
    """Which variations of motions to make.

    Attributes:
        mirror: mirror images, of the following too.
        speeds: factors of the speed.
        curvatures: of the path, radians per metre.

    Raises:
        ValueError: a speed that is not positive or a curvature that is not finite.
    """

    mirror: bool = False
    speeds: tuple[float, ...] = ()
    curvatures: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for speed in self.speeds:
            if not speed > 0:
                raise ValueError(f"speeds: expected positive factors, found {speed}")
        for curvature in self.curvatures:
            if not np.isfinite(curvature):
                raise ValueError(f"curvatures: expected finite numbers of radians per metre, found {curvature}")

    def of(self, motion: Motion) -> Iterator[Motion]:
        """A motion's variations without itself; a plan has none, because its controls are for its own motion."""
        if motion.controls is None:
            speeds, paths = (retimed(motion, x) for x in self.speeds), (bent(motion, x) for x in self.curvatures)
            for one in itertools.chain((motion,), speeds, paths):
                if one is not motion:
                    yield one
                if self.mirror:
                    yield mirrored(one)
