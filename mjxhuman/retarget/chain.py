"""The kinematic chain that fits work on: SMPL's 22 body joints as ball joints, hands rigid with the wrists.

All rotations are wxyz. ``local`` is a rotation relative to the parent in SMPL's own frames (x left, y up, z forward in
the T-pose), so that a global rotation maps the SMPL rest frame to the world.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math.quaternion import conjugate, multiply, rotate
from mjxhuman.types import SMPL_JOINTS, SMPL_PARENTS

#: SMPL's joints without the two hands, whose rotation no supported source states.
BODIES = SMPL_JOINTS[:22]
PARENTS = np.asarray(SMPL_PARENTS[:22])
JOINTS = len(BODIES)
INDEX = {name: i for i, name in enumerate(SMPL_JOINTS)}
#: Root rotation of the T-pose facing +x in the z-up world: SMPL x -> y, y -> z, z -> x.
UPRIGHT = np.array([0.5, 0.5, 0.5, 0.5])

#: Point counts are padded to multiples of this.
POINT_BUCKET = 32

#: ``ANCESTOR[j, i]`` is 1 where joint i is j or one of its ancestors, that is, where turning i moves body j.
ANCESTOR = np.eye(len(PARENTS))
for _j in range(1, len(PARENTS)):
    ANCESTOR[_j] += ANCESTOR[PARENTS[_j]]

#: Soft ranges (rad) of the joints that are nearly hinges, as rotation about x, y, z in SMPL's frames: (low, high).
#: Knee: flexion +x; elbow: flexion -y left, +y right (SMPL's T-pose elbow is bent by 0.1); toes: extension -x. Ranges
#: are wider than anatomy's: they decide which way a limb turns, the source decides how far.
_HINGES = {
    "Knee": ((-0.05, -0.35, -0.15), (2.7, 0.35, 0.15)),
    "Ankle": ((-0.8, -0.6, -0.6), (1.1, 0.6, 0.6)),
    "Toe": ((-1.1, -0.1, -0.1), (0.7, 0.1, 0.1)),
    "Elbow": ((-1.6, -2.7, -0.2), (1.6, 0.15, 0.2)),
}
RANGE_SIGMA = 0.05  # rad beyond the range


def _range_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    index, low, high = [], [], []
    mirror = np.array([1.0, -1.0, -1.0])  # the right side's rotations are the left side's mirrored in the yz-plane
    for joint, (left_low, left_high) in _HINGES.items():
        a, b = np.asarray(left_low), np.asarray(left_high)
        index += [BODIES.index("L_" + joint), BODIES.index("R_" + joint)]
        low += [a, np.minimum(a * mirror, b * mirror)]
        high += [b, np.maximum(a * mirror, b * mirror)]
    chord = lambda angle: 2.0 * np.sin(0.5 * np.asarray(angle))  # noqa: E731
    return np.asarray(index, np.int32), chord(low), chord(high)


RANGE_INDEX, RANGE_LOW, RANGE_HIGH = _range_table()


def _levels() -> tuple[np.ndarray, ...]:
    depth = ANCESTOR.sum(1) - 1
    # int32: jax keeps a constant that was once traced in double precision as int64, in single precision as well
    return tuple(np.flatnonzero(depth == d).astype(np.int32) for d in range(1, int(depth.max()) + 1))


#: Joints of equal depth, from the pelvis' children down: each level is one vectorised step.
LEVELS = _levels()


@dataclasses.dataclass(frozen=True)
class Chain:
    """Joint positions of a humanoid in its T-pose, in SMPL's frames.

    Attributes:
      offsets: ``(24, 3)`` m, joint relative to its parent; row 0 is zero.
      rest: ``(24, 3)`` m, joint relative to the pelvis in the T-pose.
      stature: m.
    """

    offsets: np.ndarray
    rest: np.ndarray
    stature: float


def chain_of(humanoid: Humanoid) -> Chain:
    """The chain of a humanoid of SMPL topology, whichever frame convention its bodies have.

    Raises:
      ValueError: the model is not of SMPL topology.
    """
    if humanoid.smpl_body_ids is None or humanoid.smpl_frame is None:
        raise ValueError(
            f"humanoid {humanoid.name!r}: expected the 24 bodies of SMPL's topology ({', '.join(SMPL_JOINTS[:4])}, "
            f"...), found {', '.join(humanoid.body_names[1:5])}, ...; motion can only be retargeted to such a body"
        )
    offsets = np.asarray(humanoid.model.body_pos)[humanoid.smpl_body_ids].astype(np.float64)
    offsets = rotate(np.asarray(humanoid.smpl_frame, np.float64), offsets)
    offsets[0] = 0.0
    return chain_from_offsets(offsets, humanoid.stature)


def chain_from_offsets(offsets: np.ndarray, stature: float) -> Chain:
    """A chain from joint offsets ``(24, 3)`` in metres."""
    rest = np.zeros_like(offsets)
    for j in range(1, len(offsets)):
        rest[j] = rest[SMPL_PARENTS[j]] + offsets[j]
    return Chain(offsets=offsets, rest=rest, stature=stature)


def forward_clip(chain: Chain, root: np.ndarray, local: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Joint positions ``(T, 24, 3)`` and global rotations ``(T, 24, 4)`` in float64 NumPy; hands follow the wrists.

    Args:
      root: ``(T, 3)`` m, pelvis. local: ``(T, 22, 4)``.
    """
    frames = local.shape[0]
    pos, quat = np.empty((frames, 24, 3)), np.empty((frames, 24, 4))
    pos[:, 0], quat[:, 0] = root, local[:, 0]
    for j in range(1, 24):
        parent = SMPL_PARENTS[j]
        pos[:, j] = pos[:, parent] + rotate(quat[:, parent], chain.offsets[j])
        quat[:, j] = multiply(quat[:, parent], local[:, j]) if j < 22 else quat[:, parent]
    return pos, quat


def local_rotations(quat: np.ndarray) -> np.ndarray:
    """Local rotations ``(T, 22, 4)`` of global ones ``(T, >=22, 4)``."""
    local = np.empty((quat.shape[0], 22, 4))
    local[:, 0] = quat[:, 0]
    local[:, 1:] = multiply(conjugate(quat[:, PARENTS[1:]]), quat[:, 1:22])
    return local
