"""The kinematic chain the optimiser works on: SMPL's 22 body joints as ball joints, hands rigid with the wrists.

All rotations are wxyz. ``local`` is a rotation relative to the parent in SMPL's own frames (x left, y up, z forward in
the T-pose), so that a global rotation maps the SMPL rest frame to the world.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mjxhuman.data.joint_names import SMPL_JOINTS, SMPL_PARENTS
from mjxhuman.humanoids.humanoid import Humanoid
from mjxhuman.math.quaternion import conjugate, multiply, rotate

#: SMPL's joints without the two hands, whose rotation no supported source states.
BODIES = SMPL_JOINTS[:22]
PARENTS = np.asarray(SMPL_PARENTS[:22])
INDEX = {name: i for i, name in enumerate(SMPL_JOINTS)}
#: Root rotation of the T-pose facing +x in the z-up world: SMPL x -> y, y -> z, z -> x.
UPRIGHT = np.array([0.5, 0.5, 0.5, 0.5])


#: ``ANCESTOR[j, i]`` is 1 where joint i is j or one of its ancestors, that is, where turning i moves body j.
ANCESTOR = np.eye(len(PARENTS))
for _j in range(1, len(PARENTS)):
    ANCESTOR[_j] += ANCESTOR[PARENTS[_j]]


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
