"""Who carries whom: contact forces between a body and the objects around it, solved for from recorded states.

On the host, by C MuJoCo, whichever engine made the states: a state and its controls determine the contact forces.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import mujoco
import numpy as np
from flax import struct
from jaxtyping import Float

from mjxhuman.scenes.compose import OFF, Composed
from mjxhuman.types import Array

#: Newton iterations for forces: enough for the solver's tolerance, which the few of a simulated step may miss.
ITERATIONS = 50
#: m within which distances are measured.
NEAR = 0.05


@struct.dataclass
class Loads:
    """Forces on a body, N, world axes. ``B`` bodies, its root first; ``O`` objects, in the scene's order."""

    objects: Float[Array, "T B O 3"]  # on each body by each object
    floor: Float[Array, "T B 3"]  # on each body by the floor
    normal: Float[Array, "T B O"]  # sum of the sizes of the normal forces by each object,
    floor_normal: Float[Array, "T B"]  # and by the floor
    distance: Float[Array, "T B O"]  # m, of each body to each object, negative inside; inf beyond ``NEAR``

    @property
    def squeeze(self) -> Array:
        """Sum of the normal forces on the body, ``(T,)`` N; at least its weight where it is at rest."""
        return self.normal.sum((1, 2)) + self.floor_normal.sum(1)


def scene_loads(composed: Composed, qpos: Array, qvel: Array, ctrl: Array) -> Loads:
    """Forces in states ``(T, nq)``, ``(T, nv)`` under targets ``(T, nu)``; states that are not finite carry nothing."""
    model, near = copy.copy(composed.actuated.model), copy.copy(composed.actuated.model)
    model.opt.iterations = ITERATIONS
    near.pair_gap[near.pair_margin > OFF] = NEAR  # another model: what is found from farther away touches elsewhere
    near.geom_gap[near.geom_conaffinity != 0] = NEAR
    near.body_margin[list(composed.bodies)] = NEAR
    data, place, at = mujoco.MjData(model), mujoco.MjData(near), composed.actuated.address
    frames, floor = len(qpos), len(composed.bodies)  # the objects, the floor behind them, and what does not count
    column = np.full(model.nbody, floor + 1)
    column[list(composed.bodies)], column[0] = np.arange(floor), floor
    row = np.full(model.nbody, -1)
    row[at.bodies] = np.arange(at.nbody)
    force, normal = np.zeros((frames, at.nbody, floor + 2, 3)), np.zeros((frames, at.nbody, floor + 2))
    distance = np.full((frames, at.nbody, floor + 2), np.inf)

    def touching(data: mujoco.MjData) -> Iterator[tuple[float, np.ndarray, np.ndarray, np.ndarray]]:
        """Contacts of the body, as first and as second: sign, which they are, rows and columns."""
        bodies = model.geom_bodyid[data.contact.geom]
        for mine, other, sign in ((0, 1, -1.0), (1, 0, 1.0)):
            rows = row[bodies[:, mine]]
            kept = np.flatnonzero(rows >= 0)
            yield sign, kept, rows[kept], column[bodies[kept, other]]

    for frame in range(frames):
        if not np.isfinite(qpos[frame]).all() or not np.isfinite(qvel[frame]).all():
            continue
        data.qpos[:], data.qvel[:], data.ctrl[:] = qpos[frame], qvel[frame], ctrl[frame]
        mujoco.mj_forward(model, data)
        if data.ncon:
            found, pressed = contact_forces(model, data)
            for sign, kept, rows, columns in touching(data):
                np.add.at(force[frame], (rows, columns), sign * found[kept])
                np.add.at(normal[frame], (rows, columns), pressed[kept])
        place.qpos[:] = qpos[frame]
        mujoco.mj_kinematics(near, place)
        mujoco.mj_collision(near, place)
        for _, kept, rows, columns in touching(place) if place.ncon else ():
            np.minimum.at(distance[frame], (rows, columns), place.contact.dist[kept])
    return Loads(
        objects=force[:, :, :floor], floor=force[:, :, floor], normal=normal[:, :, :floor],
        floor_normal=normal[:, :, floor], distance=distance[:, :, :floor],
    )  # fmt: skip


def contact_forces(model: mujoco.MjModel, data: mujoco.MjData) -> tuple[np.ndarray, np.ndarray]:
    """Of each contact the force ``(N, 3)`` on its second geom, N, world axes, and how hard it presses ``(N,)``, N.

    What ``mj_contactForce`` says, of all contacts at once, turned into the world. Pyramidal cones and three dimensions,
    as in every model here.

    Raises:
        ValueError: contacts of another kind.
    """
    contact = data.contact
    if model.opt.cone != mujoco.mjtCone.mjCONE_PYRAMIDAL or np.any(contact.dim != 3):
        raise ValueError("contacts: expected pyramidal cones of three dimensions, found others")
    found, end = np.append(data.efc_force, np.zeros(4)), len(data.efc_force)
    first = np.where(contact.efc_address < 0, end, contact.efc_address)  # MuJoCo leaves out contacts that do nothing
    edges = found[first[:, None] + np.arange(4)]
    pressed = edges.sum(1)
    local = np.stack(
        [
            pressed,
            contact.friction[:, 0] * (edges[:, 0] - edges[:, 1]),
            contact.friction[:, 1] * (edges[:, 2] - edges[:, 3]),
        ],
        1,
    )
    return np.einsum("nij,ni->nj", contact.frame.reshape(-1, 3, 3), local), pressed
